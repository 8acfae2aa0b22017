import assert from "node:assert/strict";
import { test } from "node:test";
import { Holes } from "./holes.js";
import { Ring } from "./ring.js";

const NOW = 1_000_000;

function hole(ring: Ring): void {
  ring.pushNotice({ kind: "gap", time: 0, data: {} });
}

test("a hole is news for half a minute, and stays counted", () => {
  const ring = new Ring();
  const holes = new Holes(ring);
  hole(ring);

  assert.equal(true, holes.fresh("gap", NOW));
  assert.equal(true, holes.fresh("lost", NOW + 29_000));
  assert.equal(false, holes.fresh("gap", NOW + 30_000));
  assert.equal(1, holes.count);
});

test("a hole is news no more when its reader has been told, until the next one", () => {
  const ring = new Ring();
  const holes = new Holes(ring);
  hole(ring);
  holes.fresh("gap", NOW);

  holes.told();
  assert.equal(false, holes.fresh("gap", NOW + 1));

  hole(ring);
  assert.equal(true, holes.fresh("gap", NOW + 2));
  assert.equal(2, holes.count);
});

test("a hole that the past brings is no news", () => {
  const ring = new Ring();
  const holes = new Holes(ring);
  hole(ring);

  assert.equal(false, holes.fresh("live", NOW));
});
