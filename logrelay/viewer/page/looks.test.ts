import assert from "node:assert/strict";
import { test } from "node:test";
import type { StreamState } from "../client/index.js";
import { pieces, type Format } from "./exports.js";
import { colour, contrast, hueOf, parseHex, readable, SERVICE_COLOURS } from "./colours.js";
import { record } from "./made.js";
import sheet from "./page.css";
import { Ring } from "./ring.js";
import { rulerText } from "./rulers.js";
import { statusOf } from "./status.js";
import { justAfter, known, span, stamp } from "./time.js";

// -- colours -----------------------------------------------------------------------------------------------------

function palette(theme: string): Map<string, string> {
  const block = new RegExp(`:root\\[data-theme="${theme}"\\] \\{([^}]*)\\}`).exec(sheet)![1]!;
  return new Map(
    [...block.matchAll(/--([\w-]+): (#[0-9a-f]{3,6});/g)].map((match) => [match[1]!, match[2]!]),
  );
}

for (const theme of ["dark", "light"]) {
  const colours = palette(theme);
  const of = (name: string): ReturnType<typeof parseHex> => parseHex(colours.get(name)!);
  const grounds = ["ground", "panel", "raised", "hover", "selected", "error-ground", "warn-ground"];
  const letters = ["text", "strong", "dim", "accent", "good", "warn", "error", "debug"];
  const hues = Array.from({ length: SERVICE_COLOURS }, (_, hue) => `hue-${hue}`);
  const ansi = Array.from({ length: 16 }, (_, colour) => `ansi-${colour}`);

  test(`every letter can be read on every ground of the ${theme} theme`, () => {
    for (const ground of grounds)
      for (const letter of [...letters, ...hues, ...ansi]) {
        const ratio = contrast(of(letter), of(ground));
        assert.ok(ratio >= 4.5, `${letter} on ${ground}: ${ratio.toFixed(2)}`);
      }
  });

  test(`letters on colours can be read in the ${theme} theme`, () => {
    const pairs = [
      ["on-accent", "accent"],
      ["on-found", "found"],
      ["on-wanted", "wanted"],
      ["accent", "accent-ground"],
      ["text", "accent-ground"],
      ["ground", "strong"],
    ];
    for (const [letter, ground] of [...pairs, ...ansi.map((name) => ["ground", name])]) {
      const ratio = contrast(of(letter!), of(ground!));
      assert.ok(ratio >= 4.5, `${letter} on ${ground}: ${ratio.toFixed(2)}`);
    }
  });

  test(`bars and signs can be told from the ground of the ${theme} theme`, () => {
    for (const sign of ["bar-warn", "bar-error", "field", "good"])
      assert.ok(contrast(of(sign), of("ground")) >= (sign === "bar-warn" ? 2 : 3), sign);
  });

  test(`a line's own colours are made readable on the ground of the ${theme} theme`, () => {
    for (const own of [
      [0, 0, 0],
      [255, 255, 255],
      [0, 0, 139],
      [255, 255, 0],
      [127, 127, 127],
    ] as const) {
      assert.ok(contrast(readable(own, of("ground")), of("ground")) >= 4.5, String(own));
    }
  });
}

test("both themes name the same colours", () => {
  assert.deepEqual([...palette("dark").keys()], [...palette("light").keys()]);
});

test("a service's colour is its own as long as there are enough, and doesn't change", () => {
  const names = ["api", "web", "worker", "postgres", "redis", "cron", "mail"];
  colour(names);
  const hues = names.map(hueOf);

  assert.equal(names.length, new Set(hues).size);
  colour([...names].reverse());
  assert.deepEqual(hues, names.map(hueOf));
  assert.ok(hueOf("nobody has heard of it") < SERVICE_COLOURS);
});

// -- times -------------------------------------------------------------------------------------------------------

const LOOK = { clock: "full", zone: "UTC", nanoseconds: true } as const;
const AT = "2026-11-23T23:59:59.999999999Z";

test("a stamp is shown in its zone, to the nanosecond where wanted", () => {
  const at = Date.parse(AT);

  assert.equal("2026-11-23 23:59:59.999999999", stamp(at, AT, LOOK, 0));
  assert.equal(
    "2026-11-24 00:59:59.999",
    stamp(at, AT, { ...LOOK, zone: "Europe/Vienna", nanoseconds: false }, 0),
  );
  assert.equal("05:29:59.999", stamp(at, AT, { clock: "time", zone: "Asia/Kolkata", nanoseconds: false }, 0));
  assert.equal("5 s ago", stamp(at, AT, { ...LOOK, clock: "relative" }, at + 5400));
});

test("the nanosecond after is the next one, over the second too", () => {
  assert.equal("2026-11-24T00:00:00.000000000Z", justAfter(`${AT}-5f3a9c1e0b7d`));
  assert.equal("2026-11-24T00:00:10.000000000Z", justAfter(`${AT}-5f3a9c1e0b7d`, 10_000));
  assert.equal("2026-11-23T03:21:30.033333124Z", justAfter("2026-11-23T03:21:30.033333123Z-5f3a9c1e0b7d~2"));
});

test("lengths of time are said in units that people use", () => {
  assert.deepEqual(
    ["350 ms", "4.0 s", "42 s", "3 min", "2 h 5 min", "3 d"],
    [350, 4000, 42_900, 200_000, 7_500_000, 270_000_000].map(span),
  );
  assert.ok(known("America/New_York") && !known("Mars/Base"));
});

// -- rulers and the header ---------------------------------------------------------------------------------------

test("rulers say what happened, how much, and from when to when", () => {
  const look = { clock: "time", zone: "UTC", nanoseconds: false } as const;
  const data = {
    from: "2026-11-23T10:00:00.000000000Z",
    to: "2026-11-23T10:00:20.000000000Z",
    count: 1200,
    reason: "retention",
  };

  assert.equal(
    "1,200 lines are missing here: older than Railway keeps · 10:00:00.000 to 10:00:20.000 (20 s)",
    rulerText({ kind: "gap", time: 0, data }, look),
  );
  assert.equal(
    "Railway is back, 1 line filled in",
    rulerText({ kind: "live", time: 0, data: { backfilled: 1 } }, look),
  );
  assert.equal(
    "Connected again, nothing missed",
    rulerText({ kind: "connected", time: 0, data: { resume: { outcome: "exact" } } }, look),
  );
});

const STATE: StreamState = {
  phase: "live",
  since: 0,
  attempt: 0,
  retryAt: null,
  close: null,
  connected: true,
  environment: { id: "e", name: "n" },
  services: [],
  filter: null,
  upstream: { state: "live" },
  viewers: 1,
  lastFrameAt: 0,
  lastLogAt: null,
  lag: { entries: 0, milliseconds: 0 },
  limits: null,
  version: null,
};

test("the header tells quiet from broken", () => {
  const now = Date.parse("2026-11-23T10:00:00Z");
  const said = (more: Partial<StreamState>, newest = now, held = false): string => {
    const { tone, label } = statusOf({ ...STATE, ...more }, newest, now, held);
    return `${tone}: ${label}`;
  };

  assert.equal("good: live", said({}));
  assert.equal("calm: quiet for 2 min", said({}, now - 120_000));
  assert.equal(
    "bad: reconnecting, try 3 in 12 s",
    said({ phase: "reconnecting", attempt: 3, retryAt: now + 11_500, connected: false }),
  );
  assert.equal(
    "busy: Railway is away, try 2 in 4 s",
    said({ upstream: { state: "reconnecting", attempt: 2, retryAt: "2026-11-23T10:00:04.000000000Z" } }),
  );
  assert.equal("busy: lines are missing", said({ phase: "gap" }));
  assert.equal("calm: paused", said({}, now, true));
  assert.equal("bad: ended", said({ phase: "closed" }));
  assert.equal(
    "busy: filling a hole, 500 lines so far",
    said({ upstream: { state: "live", backfill: { fetched: 500, from: "", to: "" } } }),
  );
});

// -- files -------------------------------------------------------------------------------------------------------

function file(format: Format, ...messages: string[]): string {
  const ring = new Ring();
  for (const [number, message] of messages.entries())
    ring.push(record(number, { message, attributes: { n: number } }));
  ring.pushNotice({ kind: "gap", time: 0, data: {} });
  const entries = Array.from({ length: ring.length }, (_, number) => ring.entry(number));
  return [...pieces(entries, format)].join("");
}

test("JSON and lines of JSON read back as the records, stamps to the nanosecond", () => {
  const array = JSON.parse(file("json", "a\n\u0000b", "c")) as {
    message: string;
    timestamp: string;
    attributes: unknown;
  }[];

  assert.deepEqual(
    ["a\n\u0000b", "c"],
    array.map(({ message }) => message),
  );
  assert.equal("2026-11-23T03:00:00.001000007Z", array[1]!.timestamp);
  assert.deepEqual({ n: 1 }, array[1]!.attributes);
  assert.equal(2, file("ndjson", "a\nb", "c").trimEnd().split("\n").length);
  assert.deepEqual([], JSON.parse(file("json")));
});

test("CSV keeps quotes, commas and line ends, and gives no spreadsheet a formula", () => {
  const text = file("csv", 'say "hi", twice\nplease', "=HYPERLINK(1)", "-1+1");

  assert.ok(text.includes('"say ""hi"", twice\nplease"'));
  assert.ok(text.includes(",'=HYPERLINK(1),"));
  assert.ok(text.includes(",'-1+1,"));
  assert.equal("timestamp", text.split(",")[0]);
});

test("text has no colours and nothing that a terminal obeys", () => {
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(file("text", "\x1b[31mred\x1b[0m \x07\u202e"), /[\x00-\x09\x0b-\x1f\u202e]/);
});
