import assert from "node:assert/strict";
import { test } from "node:test";
import { finder, next, spans } from "./find.js";
import {
  attributeTerm,
  faultPlace,
  matches,
  needles,
  queryOf,
  quoted,
  reach,
  typed,
  viewOf,
} from "./query.js";
import { flattened } from "./flat.js";
import { sound } from "./settings.js";

test("words are the relay's, services and levels are taken out", () => {
  const found = typed('timeout @service:api -"not found" @level:warn');

  assert.deepEqual(["api"], found.services);
  assert.equal("warn", found.severity);
  assert.equal('timeout              -"not found"', found.search);
});

test("places in the relay's sentence are places in the text as typed", () => {
  const text = '@level:error order "oops';

  assert.equal(text.indexOf('"'), typed(text).search.indexOf('"'));
  assert.equal(7, faultPlace("search: unbalanced quote at 8"));
  assert.equal(null, faultPlace("search: at most 32 words"));
});

test("attributes are matched by this page, with or without a minus", () => {
  const found = typed('@user.id:174 -@plan:"free tier" @tags:retry');

  assert.deepEqual(
    [
      { path: "user.id", value: "174", absent: false },
      { path: "plan", value: "free tier", absent: true },
      { path: "tags", value: "retry", absent: false },
    ],
    found.attributes,
  );
  assert.equal("", found.search);
  assert.ok(matches('{"user":{"id":174},"plan":"pro","tags":["x","retry"]}', found.attributes));
  assert.ok(!matches('{"user":{"id":174},"plan":"Free tier","tags":["retry"]}', found.attributes));
  assert.ok(!matches("", found.attributes));
});

test("what stands in quotes is text", () => {
  assert.deepEqual([], typed('"say @level:error now"').attributes);
  assert.equal(null, typed('"say @level:error now"').severity);
});

test("a term that the page writes is read as the same term", () => {
  for (const value of ["174", "two words", 'a "quote"', "back\\slash", ""]) {
    const term = { path: "user.name", value, absent: true };
    if (value) assert.deepEqual([term], typed(attributeTerm(term)).attributes, value);
  }
});

test("a value is quoted where the relay would read it as something else", () => {
  assert.equal("plain", quoted("plain"));
  for (const value of ["two words", "-minus", "@at", "(x)", "AND", "/re/", 'a"b'])
    assert.ok(quoted(value).startsWith('"'), value);
});

test("attributes are reached by path, by index, and by a key with dots", () => {
  assert.equal(1, reach({ a: { b: [{ c: 1 }] } }, "a.b[0].c"));
  assert.equal(2, reach({ "a.b": 2 }, "a.b"));
  assert.equal(undefined, reach({}, "constructor.name"));
  assert.equal(undefined, reach({ a: null }, "a.b"));
});

test("an address says the view and reads back as it", () => {
  const view = {
    services: ["api", "web, new"],
    q: 'a "b c" -d',
    severity: "warn" as const,
    find: "x&y",
    at: "2026-11-23T03:21:30.033333123Z-5f3a9c1e0b7d",
  };
  const back = viewOf(queryOf(view));

  assert.equal(view.q, back.q);
  assert.deepEqual([view.severity, view.find, view.at], [back.severity, back.find, back.at]);
  assert.equal("", queryOf(viewOf("")));
  assert.equal(null, viewOf("?severity=all").severity);
});

test("what is looked for has no special meaning", () => {
  assert.deepEqual([[2, 6]], spans("a (.*)b", finder(["(.*)"])));
  assert.equal(2, spans("ab AB", finder(["ab"])).length);
  assert.equal(null, finder(["", "  "]));
  assert.equal(200, spans("a".repeat(100_000), finder(["a"])).length);
});

test("only what must occur is highlighted", () => {
  assert.deepEqual(["order", "two words", 'q"x'], needles('order -payment "two words" -"no no" "q\\"x"'));
});

test("the next match lies in its direction, and there may be none", () => {
  const even = (number: number): boolean => number % 2 === 0;

  assert.deepEqual(
    [4, 2, null],
    [next(3, 1, 0, 10, even), next(3, -1, 0, 10, even), next(9, 1, 0, 10, even)],
  );
});

test("attributes are listed one by one, what is empty or too deep stays JSON", () => {
  assert.deepEqual(
    [
      ["a", 1],
      ["b.c[0]", "x"],
      ["b.d", {}],
    ],
    flattened({ a: 1, b: { c: ["x"], d: {} } }),
  );
  assert.deepEqual([["", 1]], flattened({ "": 1 }));
  assert.ok(flattened(JSON.parse(`${'{"a":'.repeat(50)}1${"}".repeat(50)}`)).length === 1);
});

test("whatever was stored, the settings are sound", () => {
  assert.equal("system", sound(null).theme);
  assert.equal("system", sound({ theme: "<b>" }).theme);
  assert.equal("local", sound({ zone: "No/Where" }).zone);
  assert.equal("Europe/Vienna", sound({ zone: "Europe/Vienna" }).zone);
  assert.equal(false, sound({ wrap: "yes" }).wrap);
  assert.equal(true, sound({}, true).wrap);
});
