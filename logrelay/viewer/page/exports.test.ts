import assert from "node:assert/strict";
import { test } from "node:test";
import { pieces, type Format } from "./exports.js";
import { record } from "./made.js";
import type { LogRecord } from "./model.js";
import { Ring } from "./ring.js";

function file(format: Format, ...records: LogRecord[]): string {
  const ring = new Ring();
  ring.pushNotice({ kind: "gap", time: 0, data: {} });
  for (const each of records) ring.push(each);
  const entries = Array.from({ length: ring.length }, (_, at) => ring.entry(ring.first + at));
  return [...pieces(entries, format)].join("");
}

const FULL = record(1, {
  message: 'two\nlines "quoted", \x1b[31mred\x1b[0m \u202e',
  attributes: { nested: { list: [1, null, "x"] }, __proto__x: true },
  late: true,
  truncated: true,
  size: 70_000,
  redacted: 2,
});
const BARE = record(2, {
  severity: null,
  message: "",
  serviceId: null,
  serviceName: null,
  deploymentId: null,
  instanceId: null,
});
const UNNAMED = record(3, { serviceId: "7d1c", serviceName: null });

test("NDJSON and JSON have the records as the relay has sent them, and nothing of the page's own", () => {
  const lines = file("ndjson", FULL, BARE, UNNAMED).split("\n");

  assert.equal(lines.pop(), "");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [FULL, BARE, UNNAMED],
  );
  assert.deepEqual(JSON.parse(file("json", FULL, BARE, UNNAMED)), [FULL, BARE, UNNAMED]);
  assert.deepEqual(JSON.parse(file("json")), []);
});

test("no cell of a CSV file is a formula, and each row has all cells", () => {
  const formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1+1"];
  const rows = file("csv", ...formulas.map((message, number) => record(number, { message })))
    .split("\r\n")
    .slice(1, -1);

  assert.equal(rows.length, formulas.length);
  for (const row of rows) {
    const cells = row.split(",");
    assert.equal(cells.length, 8);
    assert.doesNotMatch(cells[3]!, /^"?[=+\-@\t＝]/);
  }
  assert.match(file("csv", record(1, { message: 'a "b", c' })), /,"a ""b"", c",/);
});
