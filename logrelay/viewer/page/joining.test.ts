import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../client/index.js";
import { Joining } from "./joining.js";
import { recordFrom } from "./lookback.js";
import { record } from "./made.js";
import type { LogRecord } from "./model.js";

function entries(...records: LogRecord[]): Entry[] {
  return records.map((each) => ({ kind: "record", record: each }) as Entry);
}

/** The messages of those that the page would show. */
function shown(joining: Joining, given: readonly Entry[]): string[] {
  const records = given.flatMap((entry) => (entry.kind === "record" ? [entry.record as LogRecord] : []));
  return records.filter((each) => !joining.repeats(each)).map(({ message }) => message);
}

function looking(...brought: number[]): Joining {
  const joining = new Joining();
  joining.begin(record(100).id);
  joining.fresh(brought.map((number) => record(number)));
  return joining;
}

test("the stream waits for the look back, and what that has brought comes once", () => {
  const joining = looking(90, 100);

  const before = joining.take(entries(record(80), record(95), record(100), record(110)));
  const after = joining.over();

  assert.deepEqual(before, []);
  assert.deepEqual(shown(joining, after), ["line 95", "line 110"]);
});

test("a late line that comes first after a reload is shown, however old its stamp is", () => {
  const joining = looking(90, 100);

  const after = joining.take(entries(record(10, { late: true }), record(20), record(101), record(30)));
  joining.over();

  assert.deepEqual(after, []);
  assert.deepEqual(shown(joining, entries(record(10, { late: true }), record(20))), ["line 10"]);
  assert.deepEqual(shown(joining, entries(record(101), record(30))), ["line 101", "line 30"]);
});

test("what the stream shows before a slow look back is not brought by that again", () => {
  const joining = looking();

  joining.take(entries(record(95), record(110)));
  const early = shown(joining, joining.shown());
  const brought = joining.fresh([record(100), record(95), record(90)]);
  const rest = joining.take(entries(record(111)));

  assert.deepEqual(early, ["line 95", "line 110"]);
  assert.deepEqual(
    brought.map(({ message }) => message),
    ["line 100", "line 90"],
  );
  assert.deepEqual(shown(joining, rest), ["line 111"]);
});

test("what a slow look back brings before the stream does comes once, too", () => {
  const joining = looking();

  const early = joining.shown();
  joining.fresh([record(100), record(90)]);
  const rest = joining.take(entries(record(85), record(90), record(95), record(110), record(95)));

  assert.deepEqual(early, []);
  assert.deepEqual(shown(joining, rest), ["line 95", "line 110", "line 95"]);
});

test("another filter doesn't wait for what the one before lets through", () => {
  const joining = looking(100);
  const filter = { kind: "notice", notice: "filter" } as Entry;

  assert.deepEqual(joining.take(entries(record(110))), []);
  assert.equal(joining.take([filter, ...entries(record(111))]).length, 3);
});

test("so much of the stream that it would cost the present does not wait", () => {
  const joining = looking(100);
  const flood = entries(...Array.from({ length: 20_001 }, (_, number) => record(101 + number)));

  assert.deepEqual(joining.take(flood.slice(0, 20_000)), []);
  assert.equal(joining.take(flood.slice(20_000)).length, 20_001);
});

test("a record that the filter leaves out is not looked for further back than its stamp", async () => {
  const { id } = record(5000);
  const given: { before: string; pages: number }[] = [];
  const stream = {
    async *history({ before = "" }: { before?: string | null }) {
      const asked = { before: before ?? "", pages: 0 };
      given.push(asked);
      for (let number = 6000; number > 0; number -= 500) {
        asked.pages += 1;
        yield {
          records: [],
          scannedTo: record(number).timestamp,
          gaps: [],
          done: false,
          reason: null,
          next: null,
        };
      }
    },
  } as unknown as Parameters<typeof recordFrom>[0];

  assert.equal(await recordFrom(stream, id, () => true), null);

  assert.deepEqual(
    given.map(({ pages }) => pages),
    [4, 4, 4],
  );
  assert.equal(await recordFrom(stream, id, () => false), null);
  assert.deepEqual(
    given.map(({ pages }) => pages),
    [4, 4, 4, 1],
  );
});
