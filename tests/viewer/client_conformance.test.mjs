// Holds LogStream against the table of cases, each with the least, the middle and the greatest of random numbers.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { LogStream } from "../../logrelay/viewer/dist/client/logrelay-client.js";
import { fakes, includes, settled } from "./client_fakes.mjs";

const table = JSON.parse(
  readFileSync(new URL("../../logrelay/viewer/client/conformance.json", import.meta.url), "utf8"),
);
const HOUR = 3_600_000; // milliseconds
const RANDOM = { least: 0, middle: 0.5, greatest: 0.999999 };

const id = (name) => table.records[name]?.id ?? name;

/** Puts records in the place of their names. */
function filledIn(message) {
  if (typeof message === "string") return table.messages[message];
  if ("like" in message) {
    const like = table.messages[message.like];
    const data = { ...like.data, ...message.data };
    return { ...like, data: "lastId" in data ? { ...data, lastId: id(data.lastId) } : data };
  }
  const { data } = message;
  const one = (item) => (typeof item === "string" ? (table.records[item] ?? item) : item);
  const scanned = "scannedTo" in message ? { scannedTo: id(message.scannedTo) } : {};
  return { ...message, ...scanned, data: Array.isArray(data) ? data.map(one) : one(data) };
}

const name = (record) => Object.keys(table.records).find((key) => table.records[key].id === record.id);

class Run {
  entries = [];
  settlements = [];
  pages = [];
  searched = false;
  sent = 0; // of the newest socket's messages, those that were looked at
  checked = 0; // sockets that were looked at

  constructor(given, randomness) {
    this.randomness = randomness;
    this.fakes = fakes({ random: RANDOM[randomness] });
    const credentials = [...(given.credentials ?? [])];
    const credential = async () => {
      assert.ok(credentials.length > 0, "the credential was asked for once too often");
      const next = credentials.shift();
      if (next === "throws") throw new Error("no");
      return next;
    };
    const options = given.options ?? {};
    this.stream = new LogStream({
      base: "http://relay.test",
      environmentId: "env",
      delivery: "immediate",
      surroundings: this.fakes.surroundings,
      ...(given.credentials ? { credential } : {}),
      ...options,
      ...(options.lastId ? { lastId: id(options.lastId) } : {}),
    });
    this.stream.on("entries", (batch) => this.entries.push(...batch));
  }

  get socket() {
    return this.fakes.socket;
  }

  connects(wanted) {
    assert.equal(this.fakes.sockets.length, this.checked + 1, "sockets that were opened");
    this.checked += 1;
    this.sent = 0;
    const query = this.socket.url.searchParams;
    for (const [key, value] of Object.entries(wanted.query ?? {})) {
      const expected = key === "lastId" ? [id(value)] : [value].flat();
      assert.deepEqual(query.getAll(key), expected, key);
    }
    for (const key of wanted.without ?? []) assert.ok(!query.has(key), `the query has ${key}`);
    if ("protocols" in wanted) assert.deepEqual(this.socket.protocols, wanted.protocols);
    if ("path" in wanted) assert.equal(this.socket.url.pathname, wanted.path);
    assert.equal(this.socket.url.protocol, "ws:");
  }

  connectsNot() {
    assert.equal(this.fakes.sockets.length, this.checked);
  }

  opens() {
    this.socket.open();
  }

  receives(message, { onConnection }) {
    const socket = onConnection ? this.fakes.sockets[onConnection - 1] : this.socket;
    socket.receive(JSON.stringify(filledIn(message)));
  }

  receivesText(text) {
    this.socket.receive(text);
  }

  receivesBinary(bytes) {
    this.socket.receive(new ArrayBuffer(bytes));
  }

  closes(code) {
    this.socket.end(code);
  }

  async waits(seconds) {
    await this.fakes.clock.pass(seconds * 1000);
  }

  async reconnects(wanted) {
    const [least, most] = wanted.within.map((seconds) => seconds * 1000);
    const before = this.fakes.clock.now;
    await this.fakes.clock.pass(most + 1, () => this.fakes.sockets.length > this.checked);
    const took = this.fakes.clock.now - before;
    assert.ok(took >= least - 1 && took <= most + 1, `${least} to ${most} ms expected, took ${took}`);
    // An even jitter reaches both bounds, so that a client without any doesn't pass.
    const expected = { least, most, middle: (least + most) / 2, greatest: most }[this.randomness];
    assert.ok(Math.abs(took - expected) <= 1 + most / 1000, `${expected} ms expected, took ${took}`);
    this.connects(wanted);
  }

  async neverReconnects() {
    await this.fakes.clock.pass(HOUR);
    this.connectsNot();
    assert.equal(this.fakes.clock.pending, 0, "timers that are left");
  }

  sends(messages) {
    assert.deepEqual(
      this.socket.sent.slice(this.sent),
      messages.map((message) => ("before" in message ? { ...message, before: id(message.before) } : message)),
    );
    this.sent = this.socket.sent.length;
  }

  entriesAre(expected) {
    const seen = this.entries.map((entry) => (entry.kind === "record" ? name(entry.record) : entry));
    const shown = JSON.stringify(seen.map((entry) => entry.notice ?? entry));
    assert.ok(includes(seen, expected), `${shown} instead of ${JSON.stringify(expected)}`);
    this.entries = [];
  }

  stateIs(expected) {
    for (const [key, value] of Object.entries(expected)) {
      const shown = JSON.stringify(this.stream.state[key]);
      assert.ok(
        includes(this.stream.state[key], value),
        `${key}: ${shown} instead of ${JSON.stringify(value)}`,
      );
    }
  }

  calls(method, { with: given }) {
    if (method === "setFilter") {
      const [filter, options] = given;
      const settling = this.stream.setFilter(filter, options).then(
        (resolved) => ({ resolved }),
        ({ code, message }) => ({ rejected: { code, message } }),
      );
      this.settlements.push(settling);
    } else if (method === "history") {
      const [wish] = given;
      this.search = this.stream.history("before" in wish ? { ...wish, before: id(wish.before) } : wish);
      void this.#collect();
    } else if (method === "leaveHistory") {
      void this.search.return();
    } else {
      this.stream[method]();
    }
  }

  async #collect() {
    try {
      for await (const page of this.search) {
        this.pages.push(page.records.map(name));
        this.last = page;
      }
      this.searched = true;
    } catch (error) {
      this.failed = error.code;
    }
  }

  async settles(expected) {
    const seen = await Promise.race([this.settlements.shift(), settled().then(() => "nothing")]);
    assert.ok(includes(seen, expected), `${JSON.stringify(seen)} instead of ${JSON.stringify(expected)}`);
  }

  pagesAre(expected, { done = false, failed, last = {} }) {
    assert.deepEqual(this.pages, expected);
    assert.equal(this.searched, done);
    assert.equal(this.failed, failed);
    const wanted = "next" in last ? { ...last, next: last.next && id(last.next) } : last;
    const shown = JSON.stringify(this.last);
    assert.ok(includes(this.last ?? {}, wanted), `${shown} instead of ${JSON.stringify(wanted)}`);
  }

  closed(code) {
    assert.equal(this.socket.closed, code);
  }

  hides(hidden) {
    this.fakes.hide(hidden);
  }

  sleeps(seconds) {
    this.fakes.clock.now += seconds * 1000;
  }

  async step(step) {
    const own = { entries: "entriesAre", state: "stateIs", pages: "pagesAre" };
    const [word] = Object.keys(step).filter(
      (key) => !["with", "onConnection", "done", "failed", "last"].includes(key),
    );
    await this[own[word] ?? word](step[word], step);
    await settled();
  }
}

for (const given of table.cases) {
  test(given.name, async () => {
    for (const randomness of Object.keys(RANDOM)) {
      const run = new Run(given, randomness);
      await settled();
      for (const [number, step] of given.steps.entries()) {
        try {
          await run.step(step);
        } catch (error) {
          error.message = `step ${number + 1} ${JSON.stringify(step)} (${randomness}): ${error.message}`;
          throw error;
        }
      }
      run.stream.close();
    }
  });
}
