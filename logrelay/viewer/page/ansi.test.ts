import assert from "node:assert/strict";
import { test } from "node:test";
import { pieces, plain } from "./ansi.js";

const shown = (text: string): string[] => pieces(text).map((piece) => piece.text);

test("a line without codes is one piece without a style", () => {
  assert.deepEqual([{ text: "plain [0m text", style: null }], pieces("plain [0m text"));
});

test("colours begin and end where they are written", () => {
  const found = pieces("\x1b[32m✓\x1b[0m compiled \x1b[1;31mbad\x1b[22m red");

  assert.deepEqual(
    ["✓", " compiled ", "bad", " red"],
    found.map(({ text }) => text),
  );
  assert.equal(2, found[0]!.style?.fg);
  assert.equal(null, found[1]!.style);
  assert.deepEqual([1, true], [found[2]!.style?.fg, found[2]!.style?.bold]);
  assert.deepEqual([1, false], [found[3]!.style?.fg, found[3]!.style?.bold]);
});

test("no colour bleeds into the next line", () => {
  pieces("\x1b[31mred to the end");

  assert.equal(null, pieces("the next")[0]!.style);
});

test("the 256 colours and true colours are told by their parts", () => {
  const colour = (text: string): unknown => pieces(text)[0]?.style?.fg;

  assert.equal(9, colour("\x1b[38;5;9mx"));
  assert.deepEqual([255, 135, 0], colour("\x1b[38;5;208mx"));
  assert.deepEqual([8, 8, 8], colour("\x1b[38;5;232mx"));
  assert.deepEqual([1, 2, 3], colour("\x1b[38;2;1;2;3mx"));
  assert.equal(null, colour("\x1b[38;2;1;2;999;1mx") ?? null);
  assert.equal(12, colour("\x1b[94mx"));
});

test("colours may be written with colons, with a colour space or without", () => {
  const style = (text: string): unknown => pieces(text)[0]?.style;

  for (const text of ["\x1b[38:2::1:2:3mx", "\x1b[38:2:1:2:3mx", "\x1b[38;2;1;2;3mx"])
    assert.deepEqual([1, 2, 3], pieces(text)[0]?.style?.fg, JSON.stringify(text));
  assert.deepEqual([255, 135, 0], pieces("\x1b[48:5:208mx")[0]?.style?.bg);
  assert.deepEqual(style("\x1b[4mx"), style("\x1b[4:3mx"));
  assert.equal(null, style("\x1b[4m\x1b[4:0mx"));
});

test("a background and its letters change places, and back", () => {
  const [turned, back] = pieces("\x1b[31;44;7mx\x1b[27my");

  assert.deepEqual([1, 4, true], [turned!.style?.fg, turned!.style?.bg, turned!.style?.inverse]);
  assert.deepEqual([1, 4, false], [back!.style?.fg, back!.style?.bg, back!.style?.inverse]);
});

test("a style that is set often is gone when it ends once, and hidden text is shown", () => {
  const found = pieces(`${"\x1b[1m".repeat(100)}a\x1b[22mb\x1b[8mc`);

  assert.deepEqual(
    ["a", "b", "c"],
    found.map(({ text }) => text),
  );
  assert.equal(true, found[0]!.style?.bold);
  assert.equal(null, found[1]!.style);
});

test("a torn escape swallows nothing", () => {
  for (const text of ["abc\x1b", "abc\x1b[", "abc\x1b[3", "abc\x1b]8;;http://x", "abc\x1b[38;5"]) {
    assert.ok(plain(text).startsWith("abc"), text);
    assert.ok(plain(text).length > 3, "what is torn is shown");
  }
});

test("other sequences are left out, and a link's text stays", () => {
  assert.equal("ab", plain("a\x1b[2Jb"));
  assert.equal("ab", plain("a\x1b[?25lb"));
  assert.equal("go here now", plain("go \x1b]8;;https://example.com\x1b\\here\x1b]8;;\x1b\\ now"));
  assert.equal("title", plain("\x1b]0;evil\x07title"));
});

test("hostile characters are made visible", () => {
  assert.equal("a<U+202E>b", plain("a\u202eb"));
  assert.equal("<U+200B><U+FEFF>", plain("\u200b\ufeff"));
  assert.equal("␀␇␡", plain("\x00\x07\x7f"));
  assert.equal("<U+009B>31m", plain("\x9b31m"));
  assert.equal("\ufffd", plain("\ud800"));
  assert.equal("<U+E0041>", plain("\u{e0041}"));
});

test("letters of all scripts, emoji and tabs stay as they are", () => {
  for (const text of ["schön", "日本語", "👩‍👩‍👧 family", "a\tb", "नमस्ते", "two\nlines"])
    assert.equal(text, plain(text));
  assert.equal("a\nb", plain("a\r\nb"));
});

test("whatever comes, the pieces together are the plain text, and nothing hostile is left", () => {
  const alphabet = [
    "\x1b",
    "[",
    "]",
    "m",
    "3",
    "8",
    ";",
    ":",
    "a",
    " ",
    "\n",
    "\x07",
    "\\",
    "\u202e",
    "\x9b",
    "é",
    "\ud83d",
    "😀",
    "<b>",
  ];
  let seed = 7;
  for (let round = 0; round < 20_000; round += 1) {
    let text = "";
    for (let length = 0; length < round % 24; length += 1) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      text += alphabet[(seed >>> 8) % alphabet.length]!;
    }
    const together = shown(text).join("");
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(together, /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]/, JSON.stringify(text));
    assert.equal(plain(text), together, JSON.stringify(text));
  }
});

test("a line of a megabyte of escapes takes no time that anybody would notice", () => {
  const start = performance.now();
  const units = [
    "\x1b[",
    "\x1b]8;;",
    "\x1b[3",
    "\x1b[38;5;1m",
    "\x1b",
    "\x1b[1m",
    "\x1b[1mx",
    "\x1b[38;5;200;4;9mx",
  ];
  for (const unit of units) {
    const text = unit.repeat(Math.floor(1_000_000 / unit.length));
    assert.equal(plain(text), shown(text).join(""));
  }

  assert.ok(performance.now() - start < 60_000); // work that grows with the square takes far longer, on any machine
});

test("a return is a line's end only where nothing but colours follows it on the line", () => {
  assert.equal(plain("a\r\nb\x1b[31m\r\x1b[0m\n"), "a\nb\n");
  for (const text of ["abc\r\x1b[31mXYZ", "abc\rXYZ"]) {
    assert.equal(plain(text), "abc␍XYZ");
    assert.equal(
      pieces(text)
        .map((piece) => piece.text)
        .join(""),
      "abc␍XYZ",
    );
  }
});
