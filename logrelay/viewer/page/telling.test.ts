import assert from "node:assert/strict";
import { test } from "node:test";
import type { StreamState } from "../client/index.js";
import { baseOf } from "./api.js";
import { factsOf } from "./connection.js";
import { hiddenOf } from "./filterbar.js";
import { Groups } from "./groups.js";
import { record } from "./made.js";
import { searched } from "./picker.js";
import { Ring } from "./ring.js";
import { rulerText } from "./rulers.js";
import { endedText, without } from "./telling.js";

const NOW = 1_790_000_000_000; // milliseconds since 1970

function state(more: Partial<StreamState>): StreamState {
  return {
    phase: "live",
    since: NOW - 60_000,
    attempt: 0,
    retryAt: null,
    close: null,
    connected: true,
    environment: { id: "e", name: null },
    services: [],
    filter: null,
    upstream: { state: "live", lastFrameAt: new Date(NOW - 4000).toISOString() },
    viewers: 3,
    lastFrameAt: NOW,
    lastLogAt: new Date(NOW - 65_000).toISOString(),
    lag: { entries: 0, milliseconds: 0 },
    limits: { heartbeatSeconds: 25, maxConnections: 10 },
    version: "1.2.3",
    ...more,
  } as StreamState;
}

function facts(more: Partial<StreamState>): Record<string, string> {
  const page = { held: 1234, holes: 0, newest: NOW - 65_000, lag: 40, rate: 0 };
  return Object.fromEntries(factsOf(state(more), page, NOW));
}

test("a quiet log is told from a broken one, each connection by itself", () => {
  const quiet = facts({});
  assert.equal("connected", quiet["This page and the relay"]);
  assert.equal("connected, heard from 4 s ago", quiet["The relay and Railway"]);
  assert.equal("1 min ago", quiet["Newest line"]);
  assert.equal("3 of at most 10", quiet["Viewers"]);
  assert.equal("1,234 / 100,000", quiet["Lines held"]);

  const away = { state: "reconnecting", attempt: 4, retryAt: new Date(NOW + 7500).toISOString() } as const;
  assert.equal("lost, try 4 in 8 s", facts({ upstream: away })["The relay and Railway"]);
});

test("a lost connection says since when, why, and when the next try is", () => {
  const close = { code: 1006, message: "the connection was lost", error: null };
  const lost = { phase: "reconnecting", connected: false, attempt: 2, close } as const;

  assert.equal(
    "lost 1 min ago; try 2 in 3 s (the connection was lost)",
    facts({ ...lost, retryAt: NOW + 2100 })["This page and the relay"],
  );
  assert.match(facts({ ...lost, retryAt: null })["This page and the relay"]!, /try 2 under way/);
  assert.match(facts({ ...lost, phase: "closed" })["This page and the relay"]!, /^ended: /);
});

test("the end of a stream is told in the page's words, and in the relay's where they say more", () => {
  assert.equal("You may not see this environment.", endedText(4403, "this environment may not be streamed"));
  assert.equal(
    "Too many people are watching this environment. At most 10 at once.",
    endedText(4429, "at most 10 at once"),
  );
  assert.equal("The stream has ended. A fault.", endedText(1011, "a fault."));
  assert.equal("The stream has ended.", endedText(1011, ""));
});

test("environments are found by words of their name, project or id, in any order", () => {
  const environments = [
    { id: "aa-1", name: "production", projectName: "Shop" },
    { id: "bb-2", name: "staging", projectName: "Shop" },
    { id: "cc-3", name: null, projectName: null },
  ];
  const found = (text: string): string[] => searched(environments, text).map(({ id }) => id);

  assert.deepEqual(["aa-1", "bb-2", "cc-3"], found("  "));
  assert.deepEqual(["bb-2"], found("stag SHOP"));
  assert.deepEqual(["cc-3"], found("c-3"));
  assert.deepEqual([], found("shop nothing"));
});

test("services that are left out are named where they are fewer than those that are shown", () => {
  const known = ["api", "web", "worker", "redis"];

  assert.deepEqual(["api"], hiddenOf(known, ["web", "worker", "redis"]));
  assert.deepEqual([], hiddenOf(known, ["web", "worker"]));
  assert.deepEqual([], hiddenOf(known, []));
  assert.deepEqual([], hiddenOf(known, ["web", "worker", "unknown"]));
});

test("a folded traceback says what it ends with, as one record or as several", () => {
  const ring = new Ring();
  const groups = new Groups(ring);
  const push = (message: string, instanceId = "i1"): number => {
    const number = ring.push(record(ring.end, { message, instanceId }));
    groups.added(number);
    return number;
  };
  const head = "Traceback (most recent call last):";
  const whole = push(`${head}\n  File "a.py", line 1\n    f()\nValueError: no\n`);
  const cut = push(head);
  push('  File "b.py", line 2, in g');
  push("elsewhere", "i2");
  push("KeyError: 'x'");
  const plain = push("two\nlines");

  assert.equal("ValueError: no", groups.gist(whole));
  assert.equal("KeyError: 'x'", groups.gist(cut));
  assert.equal("", groups.gist(plain)); // its first line says what it is about
});

test("a ruler repeats neither a moment nor what everybody knows", () => {
  const look = { clock: "time", zone: "UTC", nanoseconds: false } as const;
  const at = "2026-11-23T03:00:00.000000000Z";
  const gap = { kind: "gap", time: NOW, data: { count: 3, reason: "outage", from: at, to: at } };
  assert.equal("3 lines are missing here: Railway could not be asked", rulerText(gap, look));

  const lost = (error: unknown): string =>
    rulerText({ kind: "disconnected", time: NOW, data: { message: "come back later", error } }, look);
  assert.equal("Connection to the relay lost", lost(null));
  assert.equal("Connection to the relay lost: come back later", lost({ code: "too_slow" }));
});

test("the page finds the relay and the environment in its address, also below a path", () => {
  assert.deepEqual({ base: "", environmentId: null }, baseOf("/"));
  assert.deepEqual({ base: "/logs", environmentId: null }, baseOf("/logs/"));
  assert.deepEqual({ base: "", environmentId: "a b" }, baseOf("/environments/a%20b"));
  assert.deepEqual({ base: "/logs", environmentId: "e1" }, baseOf("/logs/environments/e1/"));
});

test("of a filter that is refused goes what is wrong with it, until nothing is left to ask for", () => {
  const filter = { services: ["api"], search: '"torn', severity: "warn" as const };
  const nothing = { services: [], search: "", severity: null };

  assert.deepEqual(without(filter, "search: unbalanced quote at 1"), { ...filter, search: "" });
  assert.deepEqual(without(filter, "services: at most 50"), nothing);
  assert.deepEqual(without({ ...filter, search: "" }, "search: something else"), nothing);
  assert.equal(without(nothing, "search: something else"), null);
});
