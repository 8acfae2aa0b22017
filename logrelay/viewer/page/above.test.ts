import assert from "node:assert/strict";
import { test } from "node:test";
import type { Gap } from "../client/index.js";
import { Above } from "./above.js";
import { record } from "./made.js";
import { Ring } from "./ring.js";

function gap(from: number, to: number, reason: Gap["reason"] = "retention"): Gap {
  return { from: record(from).timestamp, to: record(to).timestamp, count: null, reason };
}

/** What a ring holds, from the oldest on: messages, and gaps by their reason. */
function held(ring: Ring): string[] {
  return Array.from({ length: ring.length }, (_, at) => {
    const { notice, message } = ring.entry(ring.first + at);
    return notice ? `${notice.kind} ${String(notice.data["reason"])}` : message;
  });
}

test("older records come above, and gaps between those that they lie between", () => {
  const ring = new Ring();
  ring.push(record(90));
  const above = new Above(ring, () => true);

  const room = above.put([record(80), record(70), record(40)], [gap(50, 60), gap(10, 30, "outage")]);

  assert.ok(room);
  assert.deepEqual(held(ring), ["gap outage", "line 40", "gap retention", "line 70", "line 80", "line 90"]);
});

test("what is there already doesn't come again, be it a record or a gap", () => {
  const ring = new Ring();
  const above = new Above(ring, () => true);
  above.put([record(80), record(70)], [gap(50, 60)]);

  above.put([record(70), record(40)], [gap(50, 60)]);

  assert.deepEqual(held(ring), ["line 40", "gap retention", "line 70", "line 80"]);
  above.clear();
  above.put([], [gap(50, 60)]);
  assert.equal(held(ring)[0], "gap retention");
});

test("records that nobody wants are passed over, and a gap without times stands at the top", () => {
  const ring = new Ring();
  ring.push(record(90));
  const above = new Above(ring, ({ message }) => message !== "line 70");

  above.put([record(80), record(70)], [{ from: null, to: null, count: 3, reason: "unreadable" }]);

  assert.deepEqual(held(ring), ["gap unreadable", "line 80", "line 90"]);
  assert.equal(ring.time(ring.first), ring.time(ring.first + 1));
});

test("where there is no room the newest stay", () => {
  const ring = new Ring(2);
  ring.push(record(90));
  const above = new Above(ring, () => true);

  assert.equal(above.put([record(80), record(70)], []), false);
  assert.equal(above.put([], [gap(50, 60)]), false);

  assert.deepEqual(held(ring), ["line 80", "line 90"]);
});
