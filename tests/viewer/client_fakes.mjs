// A clock that moves when it is told to, and sockets that do what a test says.
import assert from "node:assert/strict";

export const START = Date.parse("2026-11-23T03:21:29.000Z");

/** Lets everything happen that needs no time. */
export async function settled() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export class FakeClock {
  now = START;
  #timers = new Map();
  #count = 0;

  later(call, milliseconds) {
    assert.ok(
      milliseconds <= 2 ** 31 - 1,
      `a timer that is told to wait for ${milliseconds} ms fires at once`,
    );
    this.#count += 1;
    const number = this.#count;
    this.#timers.set(number, { at: this.now + milliseconds, call });
    return () => void this.#timers.delete(number);
  }

  get pending() {
    return this.#timers.size;
  }

  /** Moves on to the next timer, if that is due until then; whether it was. */
  #step(until) {
    const due = [...this.#timers].filter(([, timer]) => timer.at <= until).sort((a, b) => a[1].at - b[1].at);
    if (due.length === 0) return false;
    const [number, timer] = due[0];
    this.#timers.delete(number);
    this.now = Math.max(this.now, timer.at);
    timer.call();
    return true;
  }

  /** Lets so many milliseconds pass, or fewer when something has happened. */
  async pass(milliseconds, happened = () => false) {
    const until = this.now + milliseconds;
    await settled();
    while (!happened() && this.#step(until)) await settled();
    if (!happened()) this.now = until;
  }
}

export class FakeSocket {
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  sent = [];
  closed = null;
  #open = false;

  constructor(url, protocols) {
    this.url = new URL(url);
    this.protocols = protocols ?? null;
  }

  // -- the client's side

  send(text) {
    assert.ok(this.#open, "a message was sent on a socket that isn't open");
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closed ??= code ?? 1005;
    this.#open = false;
  }

  // -- the relay's side

  open() {
    this.#open = true;
    this.onopen?.({});
  }

  receive(data) {
    this.onmessage?.({ data });
  }

  end(code, reason = "") {
    this.#open = false;
    this.onerror?.({});
    this.onclose?.({ code, reason });
  }
}

/** All of a client's surroundings. Frames are drawn when `drawFrame` is called. */
export function fakes({ random = 0.5 } = {}) {
  const clock = new FakeClock();
  const sockets = [];
  const frames = new Set();
  const page = { hidden: false, changed: null };
  class WebSocket extends FakeSocket {
    constructor(url, protocols) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const surroundings = {
    WebSocket,
    now: () => clock.now,
    later: (call, milliseconds) => clock.later(call, milliseconds),
    random: () => random,
    frame: (call) => {
      frames.add(call);
      return () => void frames.delete(call);
    },
    visibility: {
      get hidden() {
        return page.hidden;
      },
      listen: (changed) => {
        page.changed = changed;
        return () => (page.changed = null);
      },
    },
  };
  return {
    clock,
    sockets,
    surroundings,
    page,
    get socket() {
      return sockets.at(-1);
    },
    drawFrame() {
      const due = [...frames];
      frames.clear();
      for (const call of due) call();
      return due.length;
    },
    hide(hidden) {
      page.hidden = hidden;
      page.changed?.();
    },
  };
}

/** Whether a value has everything that is expected of it; objects may have more. */
export function includes(value, expected) {
  if (Array.isArray(expected)) {
    return (
      Array.isArray(value) &&
      value.length === expected.length &&
      expected.every((item, at) => includes(value[at], item))
    );
  }
  if (expected === null || typeof expected !== "object") return value === expected;
  if (value === null || typeof value !== "object") return false;
  return Object.entries(expected).every(([name, wanted]) => includes(value[name], wanted));
}
