// The React hook, with React's own renderer and no browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire, register } from "node:module";
import { test } from "node:test";
import { fakes, settled } from "./client_fakes.mjs";

// React is the page's own: here it is the one among the viewer's packages, for the hook as well.
const packages = createRequire(new URL("../../logrelay/viewer/package.json", import.meta.url));
const hooks = `export async function resolve(name, context, next) {
  return name === "react" ? next(${JSON.stringify(String(new URL(`file://${packages.resolve("react")}`)))}, context) : next(name, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
globalThis.IS_REACT_ACT_ENVIRONMENT = true;
const { createElement, StrictMode } = packages("react");
const { act, create } = packages("react-test-renderer");
const { useLogStream } = await import("../../logrelay/viewer/dist/client/logrelay-client-react.js");

const { messages, records } = JSON.parse(
  readFileSync(new URL("../../logrelay/viewer/client/conformance.json", import.meta.url), "utf8"),
);

function Lines(options) {
  const { entries, state } = useLogStream(options);
  const lines = entries.filter((entry) => entry.kind === "record").map(({ record }) => record.message);
  return createElement("p", null, `${state?.phase ?? "none"}: ${lines.join(", ")}`);
}

const text = (renderer) => renderer.toJSON().children.join("");

async function mounted(around, { strict = false, ...more } = {}) {
  const options = { environmentId: "env", base: "http://relay.test", delivery: "immediate", ...more };
  const element = (changes = {}) => {
    const lines = createElement(Lines, { ...options, ...changes, surroundings: around.surroundings });
    return strict ? createElement(StrictMode, null, lines) : lines;
  };
  let renderer;
  await act(async () => (renderer = create(element())));
  await act(settled);
  return { renderer, element };
}

async function connect(around, ...names) {
  await act(async () => {
    around.socket.open();
    around.socket.receive(JSON.stringify(messages.connected));
    around.socket.receive(JSON.stringify({ type: "logs", data: names.map((name) => records[name]) }));
    await settled();
  });
}

test("a component shows the state and the records, and closes with its end", async () => {
  const around = fakes();
  const { renderer } = await mounted(around);
  assert.equal(text(renderer), "connecting: ");
  await connect(around, "r1", "r2");
  assert.equal(text(renderer), "live: line 1, line 2");

  await act(async () => renderer.unmount());

  assert.equal(around.socket.closed, 1000);
  assert.equal(around.clock.pending, 0);
});

test("in strict mode one stream is left open, and each record is there once", async () => {
  const around = fakes();
  const { renderer } = await mounted(around, { strict: true });
  const open = around.sockets.filter((socket) => socket.closed === null);

  await connect(around, "r1");

  assert.deepEqual([around.socket], open);
  assert.equal(text(renderer), "live: line 1");
  await act(async () => renderer.unmount());
  assert.deepEqual(
    [],
    around.sockets.filter((socket) => socket.closed === null),
  );
});

test("another render keeps the stream, another environment takes another one", async () => {
  const around = fakes();
  const { renderer, element } = await mounted(around);
  await connect(around, "r1");
  await act(async () => renderer.update(element()));
  assert.equal(around.sockets.length, 1);
  assert.equal(text(renderer), "live: line 1");

  await act(async () => renderer.update(element({ environmentId: "another" })));
  await act(settled);

  assert.equal(around.sockets[0].closed, 1000);
  assert.match(around.socket.url.pathname, /another/);
  assert.equal(text(renderer), "connecting: ");
  await act(async () => renderer.unmount());
});

test("no more than so many entries are kept", async () => {
  const around = fakes();
  const { renderer } = await mounted(around, { keep: 2 });

  await connect(around, "r1", "r2", "r3");

  assert.equal(text(renderer), "live: line 2, line 3");
  await act(async () => renderer.unmount());
});
