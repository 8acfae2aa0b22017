import assert from "node:assert/strict";
import { test } from "node:test";
import { bucketsOf, sum } from "./buckets.js";
import { Groups } from "./groups.js";
import { Heights } from "./heights.js";
import { record } from "./made.js";
import { Ring } from "./ring.js";

test("what goes in comes out", () => {
  const ring = new Ring();
  const number = ring.push(
    record(5, {
      severity: "error",
      attributes: { a: 1 },
      late: true,
      truncated: true,
      size: 99,
      redacted: 2,
    }),
  );
  const entry = ring.entry(number);

  assert.deepEqual(
    ["line 5", "error", "api", '{"a":1}', true, true, 99, 2, "s1", "d1", "i1"],
    [
      entry.message,
      entry.severity,
      entry.service,
      entry.attributes,
      entry.late,
      entry.truncated,
      entry.size,
      entry.redacted,
      entry.serviceId,
      entry.deploymentId,
      entry.instanceId,
    ],
  );
  assert.equal(Date.parse("2026-11-23T03:00:00.005Z"), entry.time);
});

test("the oldest goes when there are too many, and numbers stay what they are", () => {
  const ring = new Ring(100);
  for (let number = 0; number < 250; number += 1) ring.push(record(number));

  assert.deepEqual([150, 250, 100], [ring.first, ring.end, ring.length]);
  assert.equal("line 150", ring.message(150));
  assert.equal("line 249", ring.message(249));
});

test("the oldest goes when the text is too much, whatever the number", () => {
  const ring = new Ring(1000, 50_000);
  for (let number = 0; number < 100; number += 1) ring.push(record(number, { message: "x".repeat(2000) }));

  assert.ok(ring.text <= 50_000);
  assert.ok(ring.length >= 20);
});

test("one record larger than the bound is kept all the same", () => {
  const ring = new Ring(1000, 100);
  ring.push(record(1, { message: "x".repeat(500) }));

  assert.equal(1, ring.length);
});

test("what was let go or cleared leaves no text behind", () => {
  const ring = new Ring(10);
  for (let number = 0; number < 50; number += 1) ring.push(record(number));
  ring.clear();

  assert.deepEqual([0, 0], [ring.length, ring.text]);
});

test("a slot that is used again shows nothing of what was there before", () => {
  const ring = new Ring(100_000);
  for (let number = 0; number < 131_072; number += 1)
    ring.push(record(number, { truncated: true, size: 7, late: true, redacted: 1 }));
  const number = ring.push(record(1));

  assert.deepEqual(
    [false, false, 0, 0],
    [
      ring.entry(number).late,
      ring.entry(number).truncated,
      ring.entry(number).size,
      ring.entry(number).redacted,
    ],
  );
});

test("older records go before the oldest as long as there is room, and push nothing out", () => {
  const ring = new Ring(4);
  ring.push(record(10));
  ring.push(record(11));

  assert.deepEqual(
    [true, true, false],
    [ring.unshift(record(9)), ring.unshift(record(8)), ring.unshift(record(7))],
  );
  assert.deepEqual(
    ["line 8", "line 9", "line 10", "line 11"],
    [-2, -1, 0, 1].map((number) => ring.message(number)),
  );
  assert.equal(-2, ring.find(record(8).id));
  assert.equal(null, ring.find("nobody's"));
  assert.equal(record(8).id, ring.oldestId());
});

test("notices stand between records and are none", () => {
  const ring = new Ring(3);
  ring.push(record(1));
  const number = ring.pushNotice({ kind: "gap", time: 5, data: { count: 3 } });

  assert.equal("gap", ring.entry(number).notice?.kind);
  assert.equal(null, ring.entry(0).notice);
  for (let more = 2; more < 6; more += 1) ring.push(record(more));
  assert.equal(null, ring.entry(ring.end - 1).notice);
});

test("the first record at a time is found among late ones", () => {
  const ring = new Ring();
  for (const number of [1000, 3000, 2000, 5000]) ring.push(record(number));

  assert.equal(1, ring.at(Date.parse("2026-11-23T03:00:02.500Z")));
  assert.equal(3, ring.at(Date.parse("2026-11-23T04:00:00Z")));
});

test("places and heights agree with a plain sum, also across the seam of the ring", () => {
  const heights = new Heights();
  const first = 131_000;
  const known: number[] = [];
  for (let number = 0; number < 500; number += 1) {
    known.push([20, 0, 38, 120][number % 4]!);
    heights.set(first + number, known[number]!);
  }
  heights.set(first, 0);
  heights.set(first + 1, 44);
  const begin = first + 1;
  known[1] = 44;
  let top = 0;
  for (let number = 1; number < 500; number += 1) {
    assert.equal(top, heights.before(begin, first + number));
    if (known[number]! > 0) assert.equal(first + number, heights.at(begin, first + 500, top + 1));
    top += known[number]!;
  }
  assert.equal(top, heights.total);
});

test("a trace that was cut into records folds under its first line, also among other services' lines", () => {
  const ring = new Ring();
  const groups = new Groups(ring);
  const say = (number: number, message: string, service: string): number => {
    const made = ring.push(record(number, { message, serviceName: service, instanceId: service }));
    groups.added(made);
    return made;
  };
  const head = say(1, "Traceback (most recent call last):", "worker");
  say(2, "GET / 200", "api");
  const frame = say(3, '  File "/app/jobs.py", line 3, in perform', "worker");
  const source = say(4, "    self.handler(job)", "worker");
  const end = say(5, "TimeoutError: no answer", "worker");
  const after = say(6, "next job", "worker");

  assert.deepEqual(
    [head, head, head, null],
    [frame, source, end, after].map((number) => groups.head(number)),
  );
  assert.equal(3, groups.folded(head));
});

test("a message of several lines folds by itself", () => {
  const ring = new Ring();
  const groups = new Groups(ring);
  const number = ring.push(record(1, { message: "TypeError: x\n    at a\n    at b\n" }));
  groups.added(number);

  assert.equal(2, groups.folded(number));
});

test("lines are counted by time and severity in round widths", () => {
  const ring = new Ring();
  for (let number = 0; number < 60_000; number += 100)
    ring.push(record(number, { severity: number % 1000 === 0 ? "error" : "info" }));
  ring.pushNotice({ kind: "gap", time: 0, data: {} });
  const buckets = bucketsOf(ring, 80)!;

  assert.deepEqual([1000, 60, 600, 10], [buckets.width, buckets.count, buckets.total, buckets.highest]);
  assert.equal(1, buckets.lines[0 * 5 + 3]);
  assert.equal(
    600,
    Array.from({ length: buckets.count }, (_, bucket) => sum(buckets.lines, bucket)).reduce((a, b) => a + b),
  );
  assert.equal(null, bucketsOf(new Ring(), 10));
});

test("however far apart lines are, there are no more bars than asked for", () => {
  const ring = new Ring();
  ring.push(record(1));
  ring.push(record(2, { id: "2020-01-01T00:00:00.000000000Z-000000000000" }));

  assert.ok(bucketsOf(ring, 100)!.count <= 101);
});

test("heights that are filled all at once are those that are set one by one, across the ring's seam too", () => {
  const height = (number: number): number => (number % 7) * 18;
  const [filled, set] = [new Heights(), new Heights()];
  const first = 131_072 - 50;
  const end = first + 120;

  filled.set(3, 99); // of before
  filled.fill(first, end, height);
  for (let number = first; number < end; number += 1) set.set(number, height(number));

  assert.equal(set.total, filled.total);
  for (let number = first; number <= end; number += 1) {
    assert.equal(set.before(first, number), filled.before(first, number));
    assert.equal(set.at(first, end, (number - first) * 50), filled.at(first, end, (number - first) * 50));
  }
});

test("places are found when more entries have come than thirty bits can count, after days of a flood", () => {
  const heights = new Heights();
  const first = 2 ** 30 + 5;
  const end = first + 100;
  for (let number = first; number < end; number += 1) heights.set(number, 10);

  assert.equal(heights.at(first, end, 0), first);
  assert.equal(heights.at(first, end, 555), first + 55);
  assert.equal(heights.at(first, end, 5000), end - 1);
});
