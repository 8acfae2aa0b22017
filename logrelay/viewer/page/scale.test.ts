import assert from "node:assert/strict";
import { test } from "node:test";
import { counted, STACK, stacked } from "./buckets.js";
import { splitsOf, tick } from "./scale.js";
import type { TimeLook } from "./time.js";

const NOON = Date.UTC(2026, 10, 23, 12);
const HOUR = 3_600_000;
const look = (zone: string, clock: TimeLook["clock"] = "time"): TimeLook => ({
  zone,
  clock,
  nanoseconds: false,
});

test("the times below the bars are round on the reader's own clock", () => {
  const said = (zone: string): string[] =>
    splitsOf(NOON - HOUR, NOON + HOUR, HOUR, look(zone), 0).map((at) => tick(at, HOUR, look(zone), 0));

  assert.deepEqual(["11:00", "12:00", "13:00"], said("UTC"));
  assert.deepEqual(["17:00", "18:00"], said("Asia/Kolkata"));
  assert.deepEqual(["06:00", "07:00", "08:00"], said("America/New_York"));
});

test("where times are relative, round lengths of time lie between them and now", () => {
  const now = NOON + 12_345;
  const relative = look("UTC", "relative");

  assert.deepEqual(
    ["30 s ago", "20 s ago", "10 s ago", "now"],
    splitsOf(now - 31_000, now, 10_000, relative, now).map((at) => tick(at, 10_000, relative, now)),
  );
});

test("a time is as exact as its neighbours are near, and midnight is a date", () => {
  assert.equal("12:00:00.250", tick(NOON + 250, 250, look("UTC"), 0));
  assert.equal("12:00:01", tick(NOON + 1000, 250, look("UTC"), 0));
  assert.equal("12:00:05", tick(NOON + 5000, 5000, look("UTC"), 0));
  assert.equal("12:05", tick(NOON + 300_000, 300_000, look("UTC"), 0));
  assert.equal("11-24", tick(NOON + 12 * HOUR, HOUR, look("UTC"), 0));
  assert.equal("11-23 12:05", tick(NOON + 300_000, 300_000, look("UTC", "full"), 0));
});

test("bars stand on each other, and a single error can be seen among thousands of lines", () => {
  const lines = new Uint32Array([0, 5000, 0, 1, 0, 2, 0, 3, 0, 0]); // debug, info, warn, error, none; twice
  const buckets = { from: 0, width: 1000, count: 2, lines, highest: 5001, total: 5006 };
  const { tops, most } = stacked(buckets, 100);

  assert.deepEqual([3, 2, 4, 1, 0], STACK);
  assert.deepEqual(
    [0, 0, 0, 0, 0],
    tops.map((top) => top[0]),
  );
  assert.deepEqual(
    [5200, 5000, 5000, 5000, 0],
    tops.map((top) => top[1]),
  );
  assert.deepEqual(
    [200, 200, 100, 100, 100],
    tops.map((top) => top[2]),
  );
  assert.equal(5200, most);
  assert.deepEqual([5006, 1, 3], counted(buckets, 0, 1));
});
