// How entries reach those who take them: once per frame, in order, never more than there is room for.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { LogStream, StreamEnded } from "../../logrelay/viewer/dist/client/logrelay-client.js";
import { START, fakes, settled } from "./client_fakes.mjs";

const { messages } = JSON.parse(
  readFileSync(new URL("../../logrelay/viewer/client/conformance.json", import.meta.url), "utf8"),
);

function record(number) {
  return {
    id: `2026-11-23T03:21:30.${String(number).padStart(9, "0")}Z-0123456789ab`,
    message: `line ${number}`,
  };
}

const lines = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => record(first + at));
const shown = (entries) =>
  entries.filter((entry) => entry.kind === "record").map(({ record }) => record.message);
const numbered = (first, last) => lines(first, last).map(({ message }) => message);

/** A stream that is connected, and what it brings. */
async function live(options = {}) {
  const around = fakes();
  const stream = new LogStream({
    base: "http://relay.test",
    environmentId: "env",
    surroundings: around.surroundings,
    ...options,
  });
  await settled();
  around.socket.open();
  around.socket.receive(JSON.stringify(messages.connected));
  const bring = (first, last) =>
    around.socket.receive(JSON.stringify({ type: "logs", data: lines(first, last) }));
  return { around, stream, bring, sent: () => around.socket.sent.map(({ type }) => type) };
}

/** Draws frames until nobody asks for one any more. */
async function drawn(around) {
  do await settled();
  while (around.drawFrame() > 0);
}

test("entries come once per frame, together and in order", async () => {
  const { around, stream, bring } = await live();
  const batches = [];
  stream.on("entries", (batch) => batches.push(shown(batch)));
  bring(1, 3);
  bring(4, 5);

  assert.deepEqual(batches, []);
  around.drawFrame();

  assert.deepEqual(batches, [numbered(1, 5)]);
  assert.equal(around.drawFrame(), 0);
});

test("one frame is asked for at a time, and none while nothing waits", async () => {
  const { around, stream, bring } = await live();
  const off = stream.on("entries", () => undefined);
  bring(1, 3);
  bring(4, 5);

  assert.equal(around.drawFrame(), 1);
  off();
  stream.on("entries", () => undefined);
  assert.equal(around.drawFrame(), 0);
});

test("a frame hands over no more than a batch, and the next one goes on", async () => {
  const { around, stream, bring } = await live({ batch: 4 });
  const sizes = [];
  stream.on("entries", (batch) => sizes.push(batch.length));
  bring(1, 9);

  await drawn(around);

  assert.deepEqual(sizes, [4, 4, 2]); // with the notice of the connection
});

test("the relay is asked to pause while nobody takes, and nothing is lost", async () => {
  const { around, stream, bring, sent } = await live({ highWater: 100, lowWater: 20, batch: 50 });
  const taken = [];
  const batches = stream.batches();
  bring(1, 60);
  await drawn(around);
  assert.deepEqual(sent(), []);
  bring(61, 150);
  await drawn(around);
  assert.deepEqual(sent(), ["pause"]);
  assert.equal(stream.state.phase, "live"); // it isn't the user who pauses

  while (taken.length < 150) {
    const { value } = await batches.next();
    taken.push(...shown(value));
    await drawn(around);
    await around.clock.pass(300);
  }

  assert.deepEqual(taken, numbered(1, 150));
  assert.deepEqual(sent(), ["pause", "resume"]);
});

test("a listener that is there takes all, and the relay is never asked to pause", async () => {
  const { around, stream, bring, sent } = await live({ highWater: 100, batch: 50 });
  const taken = [];
  stream.on("entries", (batch) => taken.push(...shown(batch)));
  for (let first = 1; first < 1000; first += 50) {
    bring(first, first + 49);
    await drawn(around);
  }

  assert.deepEqual(taken, numbered(1, 1000));
  assert.deepEqual(sent(), []);
});

test("what comes before anybody listens waits", async () => {
  const { around, stream, bring, sent } = await live({ highWater: 10, lowWater: 5 });
  bring(1, 20);
  await drawn(around);
  assert.deepEqual(sent(), ["pause"]);
  const taken = [];

  stream.on("entries", (batch) => taken.push(...shown(batch)));
  await drawn(around);
  await around.clock.pass(300);

  assert.deepEqual(taken, numbered(1, 20));
  assert.deepEqual(sent(), ["pause", "resume"]);
});

test("a pause of the user's outlasts one that was for want of room", async () => {
  const { around, stream, bring, sent } = await live({ highWater: 10, lowWater: 5 });
  bring(1, 20);
  stream.pause();
  stream.on("entries", () => undefined);
  await drawn(around);
  await around.clock.pass(300);
  assert.deepEqual(sent(), ["pause"]);

  stream.resume();

  assert.deepEqual(sent(), ["pause", "resume"]);
});

test("a pause for want of room is asked for again on the next connection", async () => {
  const { around, bring, sent } = await live({ highWater: 10, lowWater: 5 });
  bring(1, 20);
  around.socket.end(1006);
  await around.clock.pass(1000);

  around.socket.open();

  assert.deepEqual(sent(), ["pause"]);
});

test("each of several takers gets everything, at the pace of the slowest", async () => {
  const { around, stream, bring } = await live({ batch: 10 });
  const [fast, slow] = [[], stream.batches()];
  stream.on("entries", (batch) => fast.push(...shown(batch)));
  bring(1, 30);
  await drawn(around);
  assert.equal(fast.length, 9); // the first batch has the notice
  const taken = [];
  while (taken.length < 30) {
    taken.push(...shown((await slow.next()).value));
    await drawn(around);
  }

  assert.deepEqual(taken, numbered(1, 30));
  assert.deepEqual(fast, numbered(1, 30));
});

test("leaving the loop frees the others", async () => {
  const { around, stream, bring } = await live({ batch: 10, delivery: "immediate" });
  const taken = [];
  stream.on("entries", (batch) => taken.push(...shown(batch)));
  const leaving = (async () => {
    for await (const entry of stream) {
      assert.equal(entry.kind, "record");
      break;
    }
  })();
  bring(1, 30);
  await leaving;
  bring(31, 60);
  await drawn(around);

  assert.deepEqual(taken, numbered(1, 60));
});

test("the loop ends with the reason after the last entry when the relay ends the stream", async () => {
  const { around, stream, bring } = await live({ delivery: "immediate" });
  bring(1, 3);
  const taken = [];
  const loop = (async () => {
    for await (const entry of stream) taken.push(entry);
  })();
  await settled();
  around.socket.receive(
    JSON.stringify({ type: "error", code: "not_allowed", message: "not yours", retryable: false }),
  );
  around.socket.end(4403);

  await assert.rejects(loop, (error) => error instanceof StreamEnded && error.ending.code === 4403);

  assert.deepEqual(shown(taken), numbered(1, 3));
  assert.equal(taken.at(-1).notice, "disconnected");
  assert.equal(around.clock.pending, 0);
});

test("the loop just ends when the stream is closed", async () => {
  const { around, stream, bring } = await live({ delivery: "immediate" });
  bring(1, 3);
  const taken = [];
  const loop = (async () => {
    for await (const entry of stream) taken.push(entry);
  })();
  await settled();

  stream.close();
  await loop;

  assert.deepEqual(shown(taken), numbered(1, 3));
  assert.equal(around.socket.closed, 1000);
  assert.equal(around.clock.pending, 0);
});

test("what an iterator has been given and not taken still waits", async () => {
  const { around, stream, bring, sent } = await live({ highWater: 5, lowWater: 1, batch: 4 });
  const batches = stream.batches();
  bring(1, 2);
  await drawn(around);
  assert.equal(stream.lastId, null); // nothing has been handed over for good
  assert.equal(stream.state.lag.entries, 3);
  bring(3, 4);
  await drawn(around);

  assert.deepEqual(sent(), ["pause"]);
  assert.deepEqual(shown((await batches.next()).value), numbered(1, 2));
});

test("a close drops what waits, wherever it waits", async () => {
  const { around, stream, bring } = await live({ batch: 2 });
  const batches = stream.batches();
  bring(1, 9);
  around.drawFrame();

  stream.close();

  assert.deepEqual(await batches.next(), { value: undefined, done: true });
  assert.equal(around.drawFrame(), 0);
  assert.equal(stream.lastId, record(9).id);
});

test("nothing comes any more after a close in the middle of a batch", async () => {
  const { around, stream, bring } = await live();
  bring(1, 3);
  const taken = [];
  const loop = (async () => {
    for await (const entry of stream) {
      taken.push(entry);
      if (entry.kind === "record") stream.close();
    }
  })();

  await drawn(around);
  await loop;

  assert.deepEqual(shown(taken), numbered(1, 1));
});

test("a listener that closes the stream is the last one", async () => {
  const { around, stream, bring } = await live({ batch: 2 });
  const [taken, phases] = [[], []];
  stream.on("entries", (batch) => {
    taken.push(...shown(batch));
    stream.close();
  });
  stream.on("state", ({ phase }) => phases.push(phase));
  bring(1, 3);

  await drawn(around);

  assert.deepEqual(taken, numbered(1, 1)); // with the notice of the connection
  assert.equal(stream.state.phase, "closed");
  assert.equal(phases.indexOf("closed"), phases.lastIndexOf("live") + 1);
  assert.equal(around.clock.pending, 0);
});

test("a listener that throws keeps nobody else from being told", async (context) => {
  const { stream, bring } = await live({ delivery: "immediate" });
  const [taken, reported] = [[], []];
  globalThis.reportError = (error) => reported.push(error.message);
  context.after(() => delete globalThis.reportError);
  stream.on("entries", () => {
    throw new Error("a fault of the page's");
  });
  stream.on("entries", (batch) => taken.push(...shown(batch)));

  bring(1, 3);

  assert.deepEqual(taken, numbered(1, 3));
  assert.deepEqual(new Set(reported), new Set(["a fault of the page's"]));
});

test("no more than ten messages are sent in a second, whatever is asked for", async () => {
  const { around, stream } = await live();
  const times = [];
  const { socket } = around;
  const send = socket.send.bind(socket);
  socket.send = (text) => {
    times.push(around.clock.now);
    send(text);
    const { type, ...filter } = JSON.parse(text);
    if (type !== "filter") return;
    const status = { type: "status", message: "filter", timestamp: "", data: { filter } };
    queueMicrotask(() => socket.receive(JSON.stringify(status)));
  };

  for (let turn = 0; turn < 300; turn += 1) {
    if (turn % 2) stream.pause();
    else stream.resume();
    stream.setFilter({ search: `${turn}` }).catch(() => undefined);
    await around.clock.pass(10);
  }

  assert.ok(times.length > 20);
  for (const [at, time] of times.entries()) {
    assert.ok(at < 10 || time - times[at - 10] >= 1000, "more than ten in a second");
  }
});

test("ids are remembered long enough for the overlap, and not for ever", async () => {
  const { stream, bring } = await live({ delivery: "immediate", highWater: 1_000_000, batch: 1_000_000 });
  let count = 0;
  stream.on("entries", (batch) => (count += shown(batch).length));
  bring(1, 120_000);
  bring(71_000, 120_000); // the last fifty thousand
  assert.equal(count, 120_000);

  bring(1, 1);

  assert.equal(count, 120_001);
});

test("a past that is shown once more is shown whole, however long ago it came", async () => {
  const { around, stream, bring } = await live({
    delivery: "immediate",
    highWater: 1_000_000,
    batch: 1_000_000,
  });
  let count = 0;
  stream.on("entries", (batch) => (count += shown(batch).length));
  bring(1, 60_000);
  const answered = stream.setFilter({}, { replay: 10_000 });
  const filter = { services: [], search: "", severity: null };
  const status = { type: "status", message: "filter", timestamp: "", data: { filter } };
  around.socket.receive(JSON.stringify(status));
  await answered;

  bring(1, 60_000);

  assert.equal(count, 120_000);
});

test("the time of the next attempt is told, and when it has come it isn't any more", async () => {
  const { around, stream } = await live();
  const data = { reconnectInSeconds: 3.5 };
  around.socket.receive(JSON.stringify({ type: "status", message: "draining", timestamp: "", data }));
  around.socket.end(1012);

  assert.equal(stream.state.retryAt, START + 3500);
  await around.clock.pass(3500);
  assert.equal(stream.state.retryAt, null);
  assert.equal(stream.state.phase, "reconnecting");
});

test("the state is the same object until something changes", async () => {
  const { stream, bring } = await live();
  const { state } = stream;

  assert.equal(stream.state, state);
  assert.ok(Object.isFrozen(state));
  bring(1, 1);
  assert.notEqual(stream.state, state);
});

test("a place without WebSocket, or an address that is none, is told at once", () => {
  const surroundings = { ...fakes().surroundings };
  const options = { base: "http://relay.test", environmentId: "env" };

  assert.throws(() => new LogStream({ ...options, base: "http://", surroundings }), TypeError);
  if (globalThis.WebSocket === undefined) assert.throws(() => new LogStream(options), /no WebSocket here/);
});

test("a platform that refuses to connect ends the stream without repeating the address", async () => {
  const around = fakes();
  class Refusing {
    constructor(url) {
      throw new SyntaxError(`refused ${url}`);
    }
  }
  const stream = new LogStream({
    base: "http://relay.test",
    environmentId: "env",
    credential: async () => ({ ticket: "a-secret-ticket" }),
    surroundings: { ...around.surroundings, WebSocket: Refusing },
  });
  await settled();

  assert.equal(stream.state.phase, "closed");
  assert.ok(!JSON.stringify(stream.state).includes("a-secret-ticket"));
});

test("how far the viewer is behind is told by the heartbeats", async () => {
  const { around, stream } = await live();
  const data = {
    ...messages.heartbeat.data,
    lastId: "2026-11-23T03:21:30.500000000Z-0123456789ab",
    lastLogAt: "2026-11-23T03:21:32.000000000Z",
  };

  around.socket.receive(JSON.stringify({ ...messages.heartbeat, data }));

  assert.equal(stream.state.lag.milliseconds, 1500);
});

test("a stream that is closed while it waits for a credential opens nothing", async () => {
  const around = fakes();
  let give;
  const credential = () => new Promise((resolve) => (give = resolve));
  const stream = new LogStream({
    base: "http://relay.test",
    environmentId: "env",
    credential,
    surroundings: around.surroundings,
  });
  await settled();

  stream.close();
  give({ token: "t1" });
  await settled();

  assert.equal(around.sockets.length, 0);
  assert.equal(around.page.changed, null); // nobody looks at the page any more
});

test("a renewal that comes too late isn't shown on another connection", async () => {
  const asked = [];
  const credential = () => new Promise((resolve) => asked.push(resolve));
  const around = fakes();
  const options = { base: "http://relay.test", environmentId: "env", credential };
  const stream = new LogStream({ ...options, surroundings: around.surroundings });
  const connected = { ...messages.connected, data: { ...messages.connected.data, expiresInSeconds: 50 } };
  await settled();
  asked.shift()({ token: "t1" });
  await settled();
  around.socket.open();
  around.socket.receive(JSON.stringify(connected));
  await around.clock.pass(41_000);
  around.socket.end(1006);
  await around.clock.pass(1000);
  around.socket.open();
  around.socket.receive(JSON.stringify(connected));

  asked.shift()({ token: "t2" });
  await settled();

  assert.equal(around.sockets.length, 2);
  assert.deepEqual(around.socket.sent, []);
  stream.close();
});

test("the place for a reload is that of what was handed over", async () => {
  const { around, stream, bring } = await live();
  stream.on("entries", () => undefined);
  bring(1, 3);
  await drawn(around);
  bring(4, 5);

  assert.equal(stream.lastId, record(3).id);
  await drawn(around);
  assert.equal(stream.lastId, record(5).id);
  const heartbeat = {
    ...messages.heartbeat,
    data: { ...messages.heartbeat.data, lastId: record(9).id },
  };
  around.socket.receive(JSON.stringify(heartbeat));
  assert.equal(stream.lastId, record(9).id);
});
