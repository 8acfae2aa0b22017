// client/wishes.ts
var FilterError = class extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
  code;
  name = "FilterError";
};
var Wishes = class {
  /** The last filter that the relay has taken, for the address of the next connection. */
  accepted;
  #asked = [];
  // sent, and not yet answered
  #unsent = null;
  constructor(filter) {
    this.accepted = filter;
  }
  /** Wants another filter; nothing is sent yet. Only the latest of those that weren't sent is kept. */
  want(filter, replay) {
    this.#unsent?.reject(new FilterError("superseded", "another filter was asked for since"));
    return new Promise((resolve, reject) => {
      this.#unsent = { command: command(filter, replay), resolve, reject };
    });
  }
  /** The message to send now, if there is one; one at a time, so that the latest wish wins. */
  next() {
    const wish = this.#asked.length === 0 ? this.#unsent : null;
    if (wish === null) return null;
    this.#unsent = null;
    this.#asked.push(wish);
    return wish.command;
  }
  /** The relay has echoed a filter; how much of the past it sends through it. */
  taken(echoed) {
    const wish = this.#asked.shift();
    if (wish === void 0) return 0;
    const { services = [], search = "", severity = null } = wish.command;
    this.accepted = { services, search, severity };
    wish.resolve(echoed);
    return wish.command.replay ?? 0;
  }
  /** The relay has sent an error; whether it was the answer to a filter. */
  refused(error2) {
    if (error2.code !== "filter_invalid") return false;
    const wish = this.#asked.shift();
    wish?.reject(new FilterError(error2.code, error2.message));
    return wish !== void 0;
  }
  /** The connection is gone, and with it the answers: what was asked for is asked for again. */
  disconnected() {
    const [wish] = this.#asked.splice(0);
    if (wish === void 0) return;
    if (this.#unsent === null) this.#unsent = wish;
    else wish.reject(new FilterError("superseded", "another filter was asked for since"));
  }
  closed() {
    for (const wish of [...this.#asked.splice(0), this.#unsent]) {
      wish?.reject(new FilterError("closed", "the stream is closed"));
    }
    this.#unsent = null;
  }
};
function command(filter, replay) {
  const { services = [], search = "", severity = null } = filter;
  return { type: "filter", services: [...services], search, severity, ...replay > 0 ? { replay } : {} };
}

// client/history.ts
var AT_ONCE = 2;
var LIMIT = 500;
var HistoryError = class extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
  code;
  name = "HistoryError";
};
var Searches = class {
  constructor(send) {
    this.send = send;
  }
  send;
  #waiting = [];
  #running = /* @__PURE__ */ new Map();
  #count = 0;
  #open = false;
  start(wish) {
    const search = new Search(wish, () => this.#leave(search));
    this.#waiting.push(search);
    this.#ask();
    return search;
  }
  /** There is a connection. */
  connected() {
    this.#open = true;
    this.#ask();
  }
  /** The connection is gone, and with it the answers. */
  disconnected() {
    this.#open = false;
    const unanswered = [...this.#running.values()].filter((search) => !search.left);
    this.#running.clear();
    this.#waiting.unshift(...unanswered.filter((search) => !search.full()));
  }
  /** A `history` message has come. */
  answered(message) {
    const search = this.#running.get(message.request);
    if (search === void 0) return;
    if (message.done) this.#running.delete(message.request);
    search.bring(message);
    this.#ask();
  }
  /** An error that names its request. */
  refused({ request, code, message }) {
    const search = this.#running.get(request);
    this.#running.delete(request);
    search?.fail(new HistoryError(code, message));
    this.#ask();
  }
  closed() {
    this.disconnected();
    for (const search of this.#waiting.splice(0)) {
      search.fail(new HistoryError("closed", "the stream is closed"));
    }
  }
  #ask() {
    while (this.#open && this.#running.size < AT_ONCE) {
      const search = this.#waiting.shift();
      if (search === void 0) return;
      this.#count += 1;
      this.#running.set(this.#count, search);
      this.send({ type: "history", ...search.wish, request: this.#count });
    }
  }
  /** A search that is left counts as running until the relay has said its last word to it. */
  #leave(search) {
    this.#waiting = this.#waiting.filter((other) => other !== search);
    for (const [request, running] of this.#running) {
      if (running === search) this.send({ type: "cancel", request });
    }
  }
};
var Search = class {
  constructor(wish, leave) {
    this.leave = leave;
    this.wish = wish;
  }
  leave;
  /** What is still wanted. */
  wish;
  /** Nobody wants it any more. */
  left = false;
  #pages = [];
  #asked = [];
  #error = null;
  #done = false;
  [Symbol.asyncIterator]() {
    return this;
  }
  bring(message) {
    if (this.left) return;
    const { data: records, scannedTo, gaps = [], done, reason = null } = message;
    const before = message.next ?? records.at(-1)?.id ?? scannedTo ?? this.wish.before ?? null;
    const limit = (this.wish.limit ?? LIMIT) - records.length;
    this.wish = { ...this.wish, limit, ...before === null ? {} : { before } };
    const next = done ? message.next ?? null : before;
    this.#pages.push({ records, scannedTo, gaps, done, reason, next });
    this.#done = done;
    this.#settle();
  }
  /** The connection is gone: whether all that was wanted had come, and only the last word was missing. */
  full() {
    const { before = null, limit = LIMIT } = this.wish;
    if (limit > 0) return false;
    this.#pages.push({ records: [], scannedTo: null, gaps: [], done: true, reason: "limit", next: before });
    this.#done = true;
    this.#settle();
    return true;
  }
  fail(error2) {
    this.#error = error2;
    this.#settle();
  }
  next() {
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject });
      this.#settle();
    });
  }
  return() {
    const over = this.left || this.#done || this.#error !== null;
    this.left = true;
    this.#pages = [];
    if (!over) this.leave();
    this.#settle();
    return Promise.resolve({ value: void 0, done: true });
  }
  #settle() {
    while (this.#asked.length > 0) {
      const page = this.#pages.shift();
      if (page === void 0 && !this.#done && !this.left && this.#error === null) return;
      const asked = this.#asked.shift();
      if (page !== void 0) asked?.resolve({ value: page, done: false });
      else if (this.#error !== null && !this.left) asked?.reject(this.#error);
      else asked?.resolve({ value: void 0, done: true });
    }
  }
};

// client/address.ts
var OVERLAP = 10;
function address(asked) {
  const page = typeof location === "undefined" ? void 0 : location.href;
  const base = new URL(asked.base || "/", page);
  const folder = base.pathname.replace(/\/+$/, "");
  const url = new URL(
    base.origin + `${folder}/api/environments/${encodeURIComponent(asked.environmentId)}/logs/stream`
  );
  url.protocol = base.protocol.replace(/^http/, "ws");
  const query = url.searchParams;
  query.set("batch", "1");
  for (const service of asked.filter.services ?? []) query.append("services", service);
  if (asked.filter.search) query.set("search", asked.filter.search);
  if (asked.filter.severity) query.set("severity", asked.filter.severity);
  for (const [name, value] of Object.entries(asked.place)) query.set(name, String(value));
  if ("lastId" in asked.place) query.set("overlap", String(OVERLAP));
  if (asked.ticket !== null) query.set("ticket", asked.ticket);
  return url.href;
}
function subprotocols(token) {
  return token === null ? void 0 : ["logrelay.v1", `bearer.${base64url(token)}`];
}
function base64url(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

// client/board.ts
var Board = class {
  constructor(surroundings2, environmentId) {
    this.surroundings = surroundings2;
    this.#state = this.#told = Object.freeze({
      phase: "connecting",
      since: surroundings2.now(),
      attempt: 0,
      retryAt: null,
      close: null,
      connected: false,
      environment: { id: environmentId, name: null },
      services: [],
      filter: null,
      upstream: null,
      viewers: null,
      lastFrameAt: null,
      lastLogAt: null,
      lag: { entries: 0, milliseconds: 0 },
      limits: null,
      version: null
    });
  }
  surroundings;
  #state;
  #told;
  #listeners = { entries: /* @__PURE__ */ new Set(), state: /* @__PURE__ */ new Set(), error: /* @__PURE__ */ new Set() };
  get state() {
    return this.#state;
  }
  get listening() {
    return this.#listeners.entries.size > 0;
  }
  on(name, listener) {
    this.#listeners[name].add(listener);
    return () => void this.#listeners[name].delete(listener);
  }
  /** Tells listeners; one that throws keeps nobody else from being told, and its error isn't swallowed. */
  emit(name, event) {
    for (const listener of [...this.#listeners[name]]) {
      try {
        listener(event);
      } catch (error2) {
        report(error2);
      }
    }
  }
  set(changes) {
    const phase = changes.phase ?? this.#state.phase;
    const moved = phase !== this.#state.phase;
    const since = moved ? this.surroundings.now() : this.#state.since;
    this.#state = Object.freeze({ ...this.#state, ...changes, since });
    if (moved) this.publish();
  }
  publish() {
    if (this.#state === this.#told) return;
    this.#told = this.#state;
    this.emit("state", this.#state);
  }
};
function report(error2) {
  if (typeof reportError === "function") reportError(error2);
  else
    queueMicrotask(() => {
      throw error2;
    });
}

// client/delays.ts
var LONGEST = 2 ** 31 - 1;
var SOON = { first: 500, longest: 3e4 };
var LATER = { first: 3e4, longest: 3e5 };
function pause(kind, attempt, random) {
  const { first, longest } = kind === "later" ? LATER : SOON;
  return Math.min(longest, first * 2 ** Math.min(attempt, 30)) * (0.5 + random);
}
function atLeast(delay, retryAfter, random) {
  return retryAfter === void 0 ? delay : Math.max(delay, retryAfter * 1e3 * (1 + random / 2));
}

// client/connection.ts
var SECOND = 1e3;
var MESSAGES = 10;
var QUIET = 60 * SECOND;
var HEARTBEATS = 2.4;
var Connection = class {
  constructor(surroundings2, owner, url, protocols) {
    this.surroundings = surroundings2;
    this.owner = owner;
    this.#lastAt = surroundings2.now();
    const socket = protocols ? new surroundings2.WebSocket(url, protocols) : new surroundings2.WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#open = true;
      this.#lastAt = surroundings2.now();
      owner.opened();
      this.#send();
    };
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#over(event.code, event.reason);
    socket.onerror = () => void 0;
    this.#watch();
  }
  surroundings;
  owner;
  #socket;
  #open = false;
  #lastAt;
  #quiet = QUIET;
  #cancelQuiet = () => void 0;
  #cancelSending = null;
  #outbox = [];
  #sentAt = [];
  /** Silence is measured against the relay's own heartbeats where those come more rarely than usual. */
  expectHeartbeats(seconds) {
    this.#quiet = Math.min(LONGEST, Math.max(QUIET, seconds * SECOND * HEARTBEATS || 0));
  }
  /** Sends a message, in order, later if there were many just now; unless the connection ends before. */
  send(message) {
    this.#outbox.push(JSON.stringify(message));
    this.#send();
  }
  /** Looks for a silence that nobody could notice while the machine or the page slept. */
  look() {
    this.#cancelQuiet();
    this.#watch();
  }
  /** Leaves without waiting for the peer, who may not be there any more. Nothing is told of it. */
  drop() {
    const socket = this.#release();
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    try {
      socket.close(1e3);
    } catch {
    }
  }
  #release() {
    const socket = this.#socket;
    this.#socket = null;
    this.#outbox = [];
    this.#cancelQuiet();
    this.#cancelSending?.();
    return socket;
  }
  #over(code, reason) {
    if (this.#release() !== null) this.owner.ended(code, reason);
  }
  #received(data) {
    if (typeof data !== "string") return;
    this.#lastAt = this.surroundings.now();
    let body;
    try {
      body = JSON.parse(data);
    } catch {
      this.owner.unreadable();
      return;
    }
    if (typeof body === "object" && body !== null) this.owner.message(body);
  }
  #watch() {
    const left = this.#lastAt + this.#quiet - this.surroundings.now();
    if (left > 0) {
      this.#cancelQuiet = this.surroundings.later(() => this.#watch(), left);
      return;
    }
    this.drop();
    this.owner.ended(1006, `nothing came for ${Math.round(this.#quiet / SECOND)} s`);
  }
  #send() {
    while (this.#socket !== null && this.#open && this.#outbox.length > 0 && this.#cancelSending === null) {
      const now = this.surroundings.now();
      this.#sentAt = this.#sentAt.filter((at) => now - at < SECOND);
      const [oldest] = this.#sentAt;
      if (this.#sentAt.length >= MESSAGES && oldest !== void 0) {
        this.#cancelSending = this.surroundings.later(
          () => {
            this.#cancelSending = null;
            this.#send();
          },
          oldest + SECOND - now
        );
        return;
      }
      this.#sentAt.push(now);
      this.#socket.send(this.#outbox.shift());
    }
  }
};

// client/delivery.ts
var Delivery = class {
  constructor(surroundings2, limits2, owner) {
    this.surroundings = surroundings2;
    this.limits = limits2;
    this.owner = owner;
  }
  surroundings;
  limits;
  owner;
  #waiting = [];
  #first = 0;
  // what lies before it in `waiting` has been handed over
  #takers = /* @__PURE__ */ new Set();
  #cancelFrame = null;
  #flushing = false;
  // what takers do meanwhile must not overtake it
  #pressed = false;
  #ended = false;
  #error = null;
  /** Entries that haven't been taken yet. */
  get depth() {
    return this.#undelivered + Math.max(0, ...[...this.#takers].map((taker) => taker.buffer.length));
  }
  /** Whether everyone has taken what was handed over last. */
  get taken() {
    return [...this.#takers].every((taker) => taker.buffer.length === 0);
  }
  get #undelivered() {
    return this.#waiting.length - this.#first;
  }
  push(entries) {
    for (const entry of entries) this.#waiting.push(entry);
    this.#weigh();
    this.wake();
  }
  /** Something has changed that may let entries go on: a new taker, or a page that is looked at again. */
  wake() {
    if (this.#flushing) return;
    if (this.limits.immediate) {
      while (this.#flush()) ;
      return;
    }
    if (this.#cancelFrame !== null || this.#undelivered === 0) return;
    this.#cancelFrame = this.surroundings.frame(() => {
      this.#cancelFrame = null;
      if (this.#flush()) this.wake();
    });
  }
  /** No more will come; takers get what waits, and then the end, which is an error if one is given. */
  end(error2) {
    this.#ended = true;
    this.#error = error2;
    for (const taker of this.#takers) taker.settle();
  }
  /** Nobody wants what waits any more. */
  discard() {
    this.#waiting = [];
    this.#first = 0;
    this.#cancelFrame?.();
    this.#cancelFrame = null;
    for (const taker of this.#takers) taker.buffer = [];
    this.end(null);
  }
  /** Batches as an async iterator; what was handed over before isn't among them. */
  batches() {
    const taker = new Taker(
      () => this.#taken(),
      () => this.#finished(),
      () => this.#leave(taker)
    );
    this.#takers.add(taker);
    this.wake();
    return taker;
  }
  /** Hands the next batch over; whether there is more for which there is room. */
  #flush() {
    const willing = this.owner.listening() || this.#takers.size > 0;
    if (this.#undelivered === 0 || !willing || !this.taken || this.surroundings.visibility.hidden)
      return false;
    const batch = this.#waiting.slice(this.#first, this.#first + this.limits.batch);
    this.#first += batch.length;
    if (this.#first === this.#waiting.length || this.#first > this.limits.highWater) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    this.#flushing = true;
    for (const taker of [...this.#takers]) taker.fill(batch);
    this.owner.handOver(batch);
    this.#flushing = false;
    this.#weigh();
    return this.#undelivered > 0;
  }
  #taken() {
    this.#weigh();
    this.wake();
  }
  #leave(taker) {
    if (this.#takers.delete(taker)) this.#taken();
  }
  #finished() {
    return this.#ended && this.#undelivered === 0 ? { error: this.#error } : null;
  }
  #weigh() {
    const depth = this.depth;
    const pressed = this.#pressed ? depth > this.limits.lowWater : depth >= this.limits.highWater;
    if (pressed === this.#pressed) return;
    this.#pressed = pressed;
    this.owner.pressed(pressed);
  }
};
var Taker = class {
  constructor(taken, finished, leave) {
    this.taken = taken;
    this.finished = finished;
    this.leave = leave;
  }
  taken;
  finished;
  leave;
  buffer = [];
  #waiting = [];
  #left = false;
  [Symbol.asyncIterator]() {
    return this;
  }
  fill(batch) {
    this.buffer = batch;
    this.settle();
  }
  next() {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.settle();
    });
  }
  /** Answers those who wait, as far as that is possible. */
  settle() {
    for (let asked = this.#waiting[0]; asked !== void 0; asked = this.#waiting[0]) {
      const end = this.#left ? { error: null } : this.finished();
      if (this.buffer.length > 0 && !this.#left) {
        const value = this.buffer;
        this.buffer = [];
        this.#waiting.shift();
        asked.resolve({ value, done: false });
        this.taken();
      } else if (end === null) {
        return;
      } else {
        this.#waiting.shift();
        this.#left = true;
        if (end.error === null) asked.resolve({ value: void 0, done: true });
        else asked.reject(end.error);
      }
    }
  }
  return() {
    this.#left = true;
    this.buffer = [];
    this.settle();
    this.leave();
    return Promise.resolve({ value: void 0, done: true });
  }
};

// client/endings.ts
var RETURNS = /* @__PURE__ */ new Map([
  [1003, "stop"],
  [1007, "stop"],
  [1008, "later"],
  [1009, "stop"],
  [4400, "stop"],
  [4401, "renew"],
  [4403, "stop"],
  [4404, "stop"],
  [4429, "later"],
  [4502, "later"]
]);
var SENTENCES = /* @__PURE__ */ new Map([
  [1e3, "the connection was closed"],
  [1001, "the relay shuts down"],
  [1003, "the relay can't use what this client sends"],
  [1006, "the connection was lost, or refused"],
  [1007, "the relay can't read what this client sends"],
  [1008, "the relay was sent too many messages"],
  [1009, "the relay was sent a message that is too long"],
  [1011, "the relay failed"],
  [1012, "the relay restarts"],
  [4400, "the relay doesn't understand what it was asked for"],
  [4401, "the credential is missing, not valid or has expired"],
  [4403, "this environment may not be streamed"],
  [4404, "there is no such environment"],
  [4408, "this client was too slow"],
  [4429, "there are too many connections"],
  [4502, "Railway refuses the relay"]
]);
function returning(code, error2) {
  const known = RETURNS.get(code);
  if (known !== void 0) return known;
  const foreign = code >= 4e3 && !SENTENCES.has(code);
  return foreign && error2?.retryable === false ? "stop" : "soon";
}
function sentence(code, reason, error2) {
  return error2?.message || reason || SENTENCES.get(code) || `the connection was closed with code ${code}`;
}

// client/hold.ts
var CALM = 250;
var Hold = class {
  constructor(surroundings2, send) {
    this.surroundings = surroundings2;
    this.send = send;
  }
  surroundings;
  send;
  /** The user's own wish. */
  asked = false;
  #pressed = false;
  #told = false;
  #open = false;
  #toldAt = -Infinity;
  #cancel = null;
  ask(on) {
    this.asked = on;
    this.#tell();
  }
  press(on) {
    this.#pressed = on;
    this.#tell();
  }
  /** A new connection begins unheld. */
  opened() {
    this.#open = true;
    this.#told = false;
    this.#toldAt = -Infinity;
    this.#tell();
  }
  ended() {
    this.#open = false;
    this.#cancel?.();
    this.#cancel = null;
  }
  #tell() {
    const wanted = this.asked || this.#pressed;
    if (!this.#open || wanted === this.#told || this.#cancel !== null) return;
    const wait = this.#toldAt + CALM - this.surroundings.now();
    if (wait > 0) {
      this.#cancel = this.surroundings.later(() => {
        this.#cancel = null;
        this.#tell();
      }, wait);
      return;
    }
    this.#told = wanted;
    this.#toldAt = this.surroundings.now();
    this.send({ type: wanted ? "pause" : "resume" });
  }
};

// client/pass.ts
var LEAD = 60;
var Pass = class {
  // a renewal that was asked for in an earlier one is of no use any more
  constructor(surroundings2, source, show) {
    this.surroundings = surroundings2;
    this.source = source;
    this.show = show;
  }
  surroundings;
  source;
  show;
  #token = null;
  #cancelRenewal = () => void 0;
  #round = 0;
  get renewable() {
    return this.source !== void 0;
  }
  /** What to show; null when the source has nothing. Rejects when the source does. */
  async take() {
    if (this.#token !== null || this.source === void 0) return { token: this.#token, ticket: null };
    const credential = await this.source();
    return credential && this.#held(credential);
  }
  /** The relay has taken it, for so long, and may have given something to come back with. */
  accepted(expiresInSeconds, reconnectToken) {
    this.#token = reconnectToken ?? this.#token;
    this.rest();
    if (expiresInSeconds === void 0 || this.source === void 0) return;
    const lead = Math.min(LEAD, expiresInSeconds / 5);
    this.#renewIn(expiresInSeconds - lead, lead / 4, this.#round);
  }
  /** The relay doesn't take it, or not any more. */
  refused() {
    this.#token = null;
  }
  /** No connection, no renewal. */
  rest() {
    this.#round += 1;
    this.#cancelRenewal();
  }
  #held(credential) {
    this.#token = "token" in credential ? credential.token : null;
    return { token: this.#token, ticket: "ticket" in credential ? credential.ticket : null };
  }
  #renewIn(seconds, again, round) {
    const wait = seconds * 1e3;
    if (wait > LONGEST) return;
    this.#cancelRenewal = this.surroundings.later(() => void this.#renew(again, round), wait);
  }
  async #renew(again, round) {
    let credential;
    try {
      credential = await this.source?.();
    } catch {
      if (round === this.#round) this.#renewIn(Math.max(1, again), again, round);
      return;
    }
    if (round !== this.#round || !credential) return;
    const { token, ticket } = this.#held(credential);
    const shown = token ?? ticket;
    if (shown !== null) this.show(shown);
  }
};

// client/position.ts
var SETTLED = 1e3;
var LAG = 1e4;
var Position = class {
  #lastId;
  #tail;
  #served = null;
  // since `connected`, as long as there is no id
  constructor(lastId, tail) {
    this.#lastId = lastId ?? null;
    this.#tail = tail;
  }
  get lastId() {
    return this.#lastId;
  }
  /** A record has come, or a heartbeat with its place. The newest to come counts, whatever its stamp. */
  move(id) {
    this.#lastId = id ?? this.#lastId;
  }
  /** Served from now on: `now` by this clock, `timestamp` by the relay's. */
  connected(now, timestamp) {
    const stamp = Date.parse(timestamp);
    this.#served ??= { at: now, stamp: Number.isNaN(stamp) ? now : stamp };
  }
  /** So many past records will come through another filter; a connection that is lost before has to ask for them. */
  replayed(count) {
    this.#lastId = null;
    this.#served = null;
    this.#tail = count;
  }
  place(now) {
    if (this.#lastId !== null) return { lastId: this.#lastId };
    if (this.#served !== null && (this.#tail === 0 || now - this.#served.at >= SETTLED)) {
      return { lastTimestamp: new Date(this.#served.stamp - LAG).toISOString() };
    }
    return { tail: this.#tail };
  }
};

// client/incoming.ts
var STATUSES = {
  connecting: () => true,
  connected: (data) => ["filter", "limits", "upstream"].every((part) => isObject(data[part])) && Array.isArray(data["services"]),
  reconnecting: () => true,
  live: () => true,
  gap: () => true,
  lost: () => true,
  filter: (data) => isObject(data["filter"]),
  paused: () => true,
  resumed: () => true,
  draining: (data) => isTime(data["reconnectInSeconds"]),
  authenticated: () => true
};
function incoming(body) {
  const { type, data } = body;
  if (type === "log") return { is: "records", records: [data].filter(isRecord) };
  if (type === "logs") return { is: "records", records: Array.isArray(data) ? data.filter(isRecord) : [] };
  if (type === "status" && isStatus(body)) return { is: "status", status: body };
  if (type === "heartbeat" && isHeartbeat(body)) return { is: "heartbeat", heartbeat: body };
  if (type === "error") return { is: "error", error: error(body) };
  if (type === "history" && isHistory(body)) {
    return { is: "history", history: { ...body, data: body.data.filter(isRecord) } };
  }
  return { is: "unknown" };
}
function error(body) {
  const { code, message, retryable, retryAfter, ...rest } = body;
  return {
    ...rest,
    code: typeof code === "string" ? code : "internal",
    message: typeof message === "string" ? message : "",
    retryable: retryable !== false,
    ...isTime(retryAfter) ? { retryAfter } : {}
  };
}
function isStatus(body) {
  const { message, data, timestamp } = body;
  if (typeof message !== "string" || typeof timestamp !== "string" || !isObject(data)) return false;
  return Object.hasOwn(STATUSES, message) && STATUSES[message](data);
}
function isHeartbeat(body) {
  const { data } = body;
  return isObject(data) && isObject(data["upstream"]) && isId(data["lastId"] ?? null);
}
function isHistory(body) {
  return Array.isArray(body["data"]) && "request" in body;
}
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
function isId(value) {
  return value === null || typeof value === "string";
}
function isTime(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
function isRecord(value) {
  return isObject(value) && typeof value["id"] === "string";
}

// client/seen.ts
var Seen = class {
  #young = /* @__PURE__ */ new Set();
  #old = /* @__PURE__ */ new Set();
  #kept;
  constructor(kept) {
    this.#kept = kept;
  }
  /** Notes a key; whether it is a new one. */
  add(key) {
    if (this.#young.has(key)) return false;
    const known = this.#old.has(key);
    this.#young.add(key);
    if (this.#young.size >= this.#kept) {
      this.#old = this.#young;
      this.#young = /* @__PURE__ */ new Set();
    }
    return !known;
  }
  clear() {
    this.#young.clear();
    this.#old.clear();
  }
};

// client/reader.ts
var REMEMBERED = 5e4;
var Reader = class {
  connection = null;
  /** Whether `connected` has come on this connection. */
  served = false;
  /** The last message that came, if it was an error: the reason of a close. */
  error = null;
  #parts;
  #seen = new Seen(REMEMBERED);
  #poison = null;
  // the place before which a message couldn't be read
  constructor(parts) {
    this.#parts = parts;
  }
  /** The connection is no more; whether it had been served. */
  left() {
    const { served } = this;
    this.connection = this.error = null;
    this.served = false;
    this.#parts.pass.rest();
    this.#parts.hold.ended();
    this.#parts.wishes.disconnected();
    this.#parts.searches.disconnected();
    return served;
  }
  /** A message has come. */
  message(body) {
    const came = incoming(body);
    this.#parts.board.set({ lastFrameAt: this.#parts.around.now() });
    this.error = came.is === "error" ? came.error : null;
    if (came.is === "records") this.#records(came.records);
    else if (came.is === "heartbeat") this.#heartbeat(came.heartbeat);
    else if (came.is === "status") this.#status(came.status);
    else if (came.is === "history") this.#parts.searches.answered(came.history);
    else if (came.is === "error") this.#refused(came.error);
  }
  #records(records) {
    this.#parts.position.move(records.at(-1)?.id ?? null);
    this.#succeeded();
    this.push(
      records.filter((record) => this.#seen.add(record.id)).map((record) => ({ kind: "record", record }))
    );
  }
  #heartbeat({ data }) {
    this.#parts.position.move(data.lastId);
    this.#succeeded();
    const { phase } = this.#parts.board.state;
    this.#parts.board.set({
      phase: phase === "gap" || phase === "lost" ? "live" : phase,
      upstream: data.upstream,
      viewers: data.viewers,
      lastLogAt: data.lastLogAt,
      lag: { entries: this.#parts.delivery.depth, milliseconds: behind(data.lastLogAt, data.lastId) }
    });
    this.#parts.board.publish();
  }
  #succeeded() {
    this.#parts.retries.succeeded();
    if (this.#parts.board.state.attempt !== 0) this.#parts.board.set({ attempt: 0 });
  }
  #refused(error2) {
    if ("request" in error2) this.#parts.searches.refused(error2);
    else if (this.#parts.wishes.refused(error2)) this.sendWish();
    this.#parts.board.emit("error", error2);
  }
  #status(status) {
    switch (status.message) {
      case "connecting":
        this.#parts.board.set({ upstream: status.data.upstream ?? null });
        break;
      case "connected":
        this.#connected(status);
        break;
      case "reconnecting":
      case "live":
        if (!this.#notice(status)) return;
        this.#parts.board.set({ upstream: { state: status.message } });
        break;
      case "gap":
      case "lost":
        if (this.#notice(status)) this.#hole(status.message);
        break;
      case "filter":
        this.#filtered(status);
        break;
      case "draining":
        this.#parts.retries.draining(status.data.reconnectInSeconds);
        this.push([{ kind: "notice", notice: "draining", timestamp: status.timestamp, data: status.data }]);
        break;
      case "authenticated":
        this.#parts.pass.accepted(status.data.expiresInSeconds, status.data.reconnectToken);
        break;
    }
    this.#parts.board.publish();
  }
  #connected({ timestamp, data }) {
    this.served = true;
    this.#parts.position.connected(this.#parts.around.now(), timestamp);
    this.#parts.pass.accepted(data.expiresInSeconds, data.reconnectToken);
    this.connection?.expectHeartbeats(data.limits.heartbeatSeconds);
    this.#parts.board.set({
      phase: this.#parts.hold.asked ? "paused" : "live",
      connected: true,
      retryAt: null,
      environment: { id: data.environmentId, name: data.environmentName },
      services: data.services,
      filter: data.filter,
      upstream: data.upstream,
      viewers: data.viewers,
      limits: data.limits,
      version: data.version
    });
    this.push([{ kind: "notice", notice: "connected", timestamp, data }]);
    if (data.resume?.outcome === "partial") {
      const { from, to, reason } = data.resume;
      this.#gap(timestamp, { from, to, count: null, reason });
    }
    this.#parts.searches.connected();
    this.sendWish();
  }
  #filtered({ timestamp, data }) {
    const replay = this.#parts.wishes.taken(data.filter);
    if (replay > 0) {
      this.#seen.clear();
      this.#parts.position.replayed(replay);
    }
    this.#parts.board.set({ filter: data.filter });
    this.push([{ kind: "notice", notice: "filter", timestamp, data: { ...data, replay } }]);
    this.sendWish();
  }
  /** Passes a notice on that stands in the relay's history, unless it has come before; whether it is new. */
  #notice(status) {
    const { message, timestamp, data } = status;
    const fresh = this.#seen.add(`${message} ${timestamp} ${JSON.stringify(data)}`);
    if (fresh) this.push([{ kind: "notice", notice: message, timestamp, data }]);
    return fresh;
  }
  #hole(phase) {
    if (!this.#parts.hold.asked) this.#parts.board.set({ phase });
  }
  #gap(timestamp, data) {
    this.push([{ kind: "notice", notice: "gap", timestamp, data }]);
    this.#hole("gap");
  }
  /** Something has come that can't be read; whether to come back for what was in it. The second time, it is a gap. */
  unreadable() {
    const place = this.#parts.position.lastId ?? "";
    const again = this.#poison === place;
    this.#poison = place;
    if (again) {
      const timestamp = new Date(this.#parts.around.now()).toISOString();
      this.#gap(timestamp, { from: null, to: null, count: null, reason: "unreadable" });
    }
    return !again;
  }
  /** Nothing is sent before `connected`: what is wanted is asked for then. */
  send(message) {
    if (this.served) this.connection?.send(message);
  }
  /** Asks for the filter that is wanted, if one is. */
  sendWish() {
    const command2 = this.served ? this.#parts.wishes.next() : null;
    if (command2 !== null) this.send(command2);
  }
  /** Passes entries on. */
  push(entries) {
    if (entries.length > 0) this.#parts.delivery.push(entries);
  }
};
function behind(lastLogAt, lastId) {
  if (lastLogAt === null || lastId === null) return 0;
  const milliseconds = Date.parse(lastLogAt) - Date.parse(lastId.slice(0, lastLogAt.length));
  return Math.max(0, milliseconds || 0);
}

// client/retries.ts
var Retries = class {
  // whether nothing but our own caution keeps us from connecting now
  constructor(surroundings2, connect) {
    this.surroundings = surroundings2;
    this.connect = connect;
  }
  surroundings;
  connect;
  /** Connections that ended since data came last. */
  attempt = 0;
  #laters = 0;
  // of those, the ones that were told to come later
  #draining = null;
  // seconds
  #cancel = null;
  #hasty = false;
  /** Data has come. */
  succeeded() {
    this.attempt = 0;
    this.#laters = 0;
  }
  /** The relay has said when to come back from its restart. */
  draining(seconds) {
    this.#draining = seconds;
  }
  /** Plans the next attempt; its time in milliseconds since 1970. */
  plan(how, error2) {
    const delay = Math.min(LONGEST, this.#delay(how, error2));
    this.attempt += 1;
    this.#laters += how === "later" ? 1 : 0;
    this.cancel();
    this.#cancel = this.surroundings.later(() => this.#go(), delay);
    return this.surroundings.now() + delay;
  }
  /** Somebody looks, or asks: connect now, unless the relay has asked for patience. */
  hurry() {
    if (this.#cancel !== null && this.#hasty) this.#go();
  }
  cancel() {
    this.#cancel?.();
    this.#cancel = null;
  }
  #go() {
    this.cancel();
    this.connect();
  }
  #delay(how, error2) {
    const random = this.surroundings.random();
    const draining = this.#draining;
    this.#draining = null;
    this.#hasty = draining === null && how === "soon" && error2?.retryAfter === void 0;
    if (draining !== null && how === "soon") return draining * 1e3;
    if (how === "renew" && this.attempt === 0) return 0;
    const attempt = how === "later" ? this.#laters : this.attempt;
    return atLeast(pause(how, attempt, random), error2?.retryAfter, random);
  }
};

// client/surroundings.ts
var FRAME = 16;
function later(call, milliseconds) {
  const timer = setTimeout(call, milliseconds);
  return () => clearTimeout(timer);
}
function frame(call) {
  if (typeof requestAnimationFrame !== "function") return later(call, FRAME);
  const request = requestAnimationFrame(call);
  return () => cancelAnimationFrame(request);
}
var visibility = {
  get hidden() {
    return typeof document !== "undefined" && document.hidden;
  },
  listen(changed) {
    if (typeof document === "undefined") return () => void 0;
    document.addEventListener("visibilitychange", changed);
    addEventListener("online", changed);
    return () => {
      document.removeEventListener("visibilitychange", changed);
      removeEventListener("online", changed);
    };
  }
};
function surroundings(given = {}) {
  const WebSocket = given.WebSocket ?? globalThis.WebSocket;
  if (WebSocket === void 0) {
    throw new Error(
      "there is no WebSocket here: give one as surroundings.WebSocket, such as that of npm's ws"
    );
  }
  return { now: Date.now, later, frame, random: Math.random, visibility, ...given, WebSocket };
}

// client/stream.ts
var TAIL = 100;
var HIGH_WATER = 1e4;
var BATCH = 2e3;
var StreamEnded = class extends Error {
  constructor(ending) {
    super(ending.message);
    this.ending = ending;
  }
  ending;
  name = "StreamEnded";
};
var LogStream = class {
  #options;
  #parts;
  #reader;
  #unlisten;
  #handedOver;
  // the id of the last record
  #taken;
  // and that of the last one of the batches before, which everyone has taken
  #left = false;
  // by `close()`
  #round = 0;
  // of connecting; whatever belongs to an earlier one is over
  /** Throws a TypeError for a base that is no address, and an Error where there is no WebSocket. */
  constructor(options) {
    this.#options = options;
    this.#handedOver = this.#taken = options.lastId ?? null;
    this.#parts = this.#assembled(options);
    this.#reader = new Reader(this.#parts);
    this.#address({ token: null, ticket: null });
    this.#unlisten = this.#parts.around.visibility.listen(() => this.#looked());
    void this.#connect();
  }
  #assembled(options) {
    const around = surroundings(options.surroundings);
    const board = new Board(around, options.environmentId);
    const send = (message) => this.#reader.send(message);
    const hold = new Hold(around, (message) => this.#reader.connection?.send(message));
    const owner = {
      handOver: (entries) => this.#handOver(entries),
      listening: () => board.listening,
      pressed: (on) => hold.press(on)
    };
    return {
      around,
      board,
      hold,
      delivery: new Delivery(around, limits(options), owner),
      pass: new Pass(around, options.credential, (token) => send({ type: "auth", token })),
      position: new Position(options.lastId, options.tail ?? TAIL),
      retries: new Retries(around, () => void this.#connect()),
      searches: new Searches(send),
      wishes: new Wishes(options.filter ?? {})
    };
  }
  /** A snapshot; the same object until something changes. */
  get state() {
    return this.#parts.board.state;
  }
  /** The place after the batches that were taken, to go on from after a reload of the page; null while there is none. */
  get lastId() {
    const { delivery, position } = this.#parts;
    if (delivery.depth === 0) return position.lastId;
    return delivery.taken ? this.#handedOver : this.#taken;
  }
  /** Listens; returns what ends that. */
  on(name, listener) {
    const off = this.#parts.board.on(name, listener);
    if (name === "entries") this.#parts.delivery.wake();
    return off;
  }
  /** Entries one by one. Throws StreamEnded after the last when the relay ended the stream for good. */
  async *[Symbol.asyncIterator]() {
    for await (const batch of this.batches()) {
      for (const entry of batch) {
        if (this.#left) return;
        yield entry;
      }
    }
  }
  /** Entries as they are handed over. Throws like the iterator over single ones. */
  batches() {
    return this.#parts.delivery.batches();
  }
  /**
   * Replaces the filter without a reconnect, and re-reads so many matching records of the past through it.
   * Resolves with the filter as the relay understood it; rejects with a FilterError, and the old one stays.
   */
  setFilter(filter, options = {}) {
    if (this.state.phase === "closed")
      return Promise.reject(new FilterError("closed", "the stream is closed"));
    const answered = this.#parts.wishes.want(filter, options.replay ?? 0);
    this.#reader.sendWish();
    return answered;
  }
  /** Holds the position; nothing is lost as long as the relay's history reaches back to it. */
  pause() {
    if (this.state.phase === "closed") return;
    this.#parts.hold.ask(true);
    if (this.#reader.served) this.#parts.board.set({ phase: "paused" });
  }
  /** Goes on from the same record. */
  resume() {
    if (this.state.phase === "closed") return;
    this.#parts.hold.ask(false);
    if (this.#reader.served) this.#parts.board.set({ phase: "live" });
  }
  /** Older records, newest first, in pages. Leaving the loop stops the search. Throws HistoryError. */
  history(wish = {}) {
    const search = this.#parts.searches.start(wish);
    if (this.state.phase === "closed") this.#parts.searches.closed();
    return search;
  }
  /** Doesn't wait for the next attempt to connect, unless it was the relay that asked for it. */
  reconnect() {
    this.#parts.retries.hurry();
  }
  /** Ends the stream; what waits is dropped. */
  close() {
    this.#left = true;
    this.#stop({ code: 1e3, message: "closed", error: null }, null);
  }
  // -- connecting ------------------------------------------------------------------------------------------
  async #connect() {
    const round = this.#round += 1;
    this.#parts.board.set({ retryAt: null });
    let shown;
    try {
      shown = await this.#parts.pass.take();
    } catch {
      if (round === this.#round) this.#ended(1006, "the credential could not be had");
      return;
    }
    if (round !== this.#round) return;
    if (shown === null) {
      this.#stopFor({ code: 4401, message: "there is no credential", error: null });
    } else {
      this.#open(shown);
    }
  }
  /** Comes back for what stood in a message that can't be read, once. */
  #unreadable() {
    if (!this.#reader.unreadable()) return;
    this.#reader.connection?.drop();
    this.#ended(1006, "a message could not be read");
  }
  #open(shown) {
    const owner = {
      opened: () => this.#parts.hold.opened(),
      message: (body) => this.#reader.message(body),
      unreadable: () => this.#unreadable(),
      ended: (code, reason) => this.#ended(code, reason)
    };
    try {
      this.#reader.connection = new Connection(
        this.#parts.around,
        owner,
        this.#address(shown),
        subprotocols(shown.token)
      );
    } catch {
      this.#stopFor({ code: 1006, message: "the platform refuses to connect to this address", error: null });
    }
  }
  #address(shown) {
    return address({
      base: this.#options.base ?? "",
      environmentId: this.#options.environmentId,
      filter: this.#parts.wishes.accepted,
      place: this.#parts.position.place(this.#parts.around.now()),
      ticket: shown.ticket
    });
  }
  #ended(code, reason) {
    const error2 = this.#reader.error;
    const ending = { code, message: sentence(code, reason, error2), error: error2 };
    const how = returning(code, error2);
    const served = this.#reader.left();
    if (how === "renew") this.#parts.pass.refused();
    if (how === "stop" || how === "renew" && !this.#parts.pass.renewable) {
      this.#stopFor(ending);
      return;
    }
    const retryAt = this.#parts.retries.plan(how, error2);
    if (served) this.#reader.push([this.#disconnected(ending, retryAt)]);
    const phase = this.state.phase === "connecting" ? "connecting" : "reconnecting";
    this.#parts.board.set({
      phase,
      connected: false,
      close: ending,
      retryAt,
      attempt: this.#parts.retries.attempt
    });
    this.#parts.board.publish();
  }
  #stopFor(ending) {
    this.#stop(ending, new StreamEnded(ending));
  }
  #stop(ending, error2) {
    if (this.state.phase === "closed") return;
    this.#round += 1;
    this.#reader.connection?.drop();
    this.#reader.left();
    this.#parts.retries.cancel();
    this.#unlisten();
    this.#parts.wishes.closed();
    this.#parts.searches.closed();
    if (error2 === null) {
      this.#parts.delivery.discard();
    } else {
      this.#reader.push([this.#disconnected(ending, null)]);
      this.#parts.delivery.end(error2);
    }
    this.#parts.board.set({ phase: "closed", connected: false, close: ending, retryAt: null });
  }
  #looked() {
    if (this.#parts.around.visibility.hidden) return;
    this.#parts.delivery.wake();
    this.#reader.connection?.look();
    this.#parts.retries.hurry();
  }
  #handOver(entries) {
    this.#taken = this.#handedOver;
    for (const entry of entries) if (entry.kind === "record") this.#handedOver = entry.record.id;
    this.#parts.board.emit("entries", entries);
    this.#parts.board.set({ lag: { ...this.state.lag, entries: this.#parts.delivery.depth } });
    this.#parts.board.publish();
  }
  #disconnected(ending, retryAt) {
    const timestamp = new Date(this.#parts.around.now()).toISOString();
    return { kind: "notice", notice: "disconnected", timestamp, data: { ...ending, retryAt } };
  }
};
function limits(options) {
  const highWater = options.highWater ?? HIGH_WATER;
  return {
    highWater,
    lowWater: options.lowWater ?? Math.floor(highWater / 4),
    batch: options.batch ?? BATCH,
    immediate: options.delivery === "immediate"
  };
}
export {
  FilterError,
  HistoryError,
  LogStream,
  StreamEnded
};
