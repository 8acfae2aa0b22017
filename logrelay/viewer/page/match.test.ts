import assert from "node:assert/strict";
import { test } from "node:test";
import { ranked } from "./match.js";

const SERVICES = [
  "web",
  "worker",
  "postgres",
  "api-gateway",
  "wal-checker",
  "cowboy-service",
  "checkout-api",
  "checkout-worker",
  "email-worker-eu-west",
  "Cron: nightly report",
  "api",
];
const found = (typed: string, most = 8): string[] => ranked(SERVICES, typed, most).map(({ name }) => name);

test("a whole name comes before those that begin with it, and those before others", () => {
  assert.deepEqual(["api", "api-gateway", "checkout-api"], found("api"));
  assert.deepEqual("worker", found("worker")[0]);
  assert.deepEqual(
    ["checkout-api", "checkout-worker"],
    found("check").filter((name) => name !== "wal-checker"),
  );
});

test("the first letters of words are as good as the words", () => {
  assert.equal("checkout-worker", found("cw")[0]);
  assert.equal("email-worker-eu-west", found("ewe")[0]);
  assert.ok(found("pg").includes("postgres"));
});

test("words may come in any order and any case", () => {
  assert.deepEqual(["checkout-worker"], found("work check"));
  assert.deepEqual(["Cron: nightly report"], found("NIGHTLY cron"));
});

test("what has other letters is not found, and what was not typed leaves all in their order", () => {
  assert.deepEqual([], found("xyz"));
  assert.deepEqual(["web", "worker", "postgres"], found("", 3));
  assert.deepEqual(["web", "worker", "postgres"], found("  ", 3));
});

test("the letters that were typed are told from the others, and together they are the name", () => {
  const [best] = ranked(SERVICES, "cw", 1);

  assert.deepEqual(
    [
      { text: "c", typed: true },
      { text: "heckout-", typed: false },
      { text: "w", typed: true },
      { text: "orker", typed: false },
    ],
    best!.parts,
  );
  for (const typed of ["", "a", "work check", "e-w"])
    for (const { name, parts } of ranked(SERVICES, typed, 8))
      assert.equal(name, parts.map(({ text }) => text).join(""));
});

test("no name and nothing that is typed makes the search long", () => {
  const start = performance.now();
  const names = Array.from({ length: 200 }, (_, number) => `${"a".repeat(60)}-${number}`);
  for (const typed of [`${"a".repeat(1000)}b`, `${"a".repeat(30)}b`, "a ".repeat(500), "a-".repeat(500)])
    ranked(names, typed, 8);

  assert.ok(performance.now() - start < 60_000); // work that grows with the square takes far longer, on any machine
});
