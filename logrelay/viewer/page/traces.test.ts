import assert from "node:assert/strict";
import { test } from "node:test";
import { continues, Traces } from "./traces.js";

test("frames of many languages continue the line before", () => {
  for (const line of [
    "    at Cart.checkout (/app/dist/cart.js:118:14)",
    '  File "/app/worker/jobs.py", line 20, in perform',
    "\tat com.example.Main.run(Main.java:12)",
    "Caused by: java.io.IOException: x",
    "\t... 12 more",
    "\t/usr/local/go/src/net/http/server.go:3137 +0x5e",
    "        from /app/a.rb:3:in `call'",
    "   3: core::panicking::panic",
    "    ^^^^^",
  ])
    assert.ok(continues(line), line);
});

test("ordinary lines don't", () => {
  for (const line of ["", "GET / 200", " one blank before", "at the end of the day", "Error: x", "- item"])
    assert.ok(!continues(line), line);
});

test("a line long after belongs to nothing", () => {
  const traces = new Traces();
  traces.place(1, 0, "Error: x", 0);

  assert.equal(1, traces.place(2, 0, "    at a", 100));
  assert.equal(null, traces.place(3, 0, "    at b", 10_000));
});

test("no group grows for ever", () => {
  const traces = new Traces();
  traces.place(0, 0, "start", 0);
  const heads = new Set(Array.from({ length: 1000 }, (_, at) => traces.place(at + 1, 0, "    more", 1)));

  assert.ok(heads.size > 2);
});

test("the end of a Python traceback belongs to it only after frames of one", () => {
  const traces = new Traces();
  traces.place(1, 0, "ready", 0);

  assert.equal(null, traces.place(2, 0, "ValueError: x", 1));
});
