import assert from "node:assert/strict";
import { test } from "node:test";
import { Frames } from "./frames.js";

/** Frames that come when they are told to. */
function screen(): { next: () => void; asked: () => number } {
  let calls: (() => void)[] = [];
  Object.assign(globalThis, { requestAnimationFrame: (call: () => void) => calls.push(call) });
  const next = (): void => {
    const due = calls;
    calls = [];
    for (const call of due) call();
  };
  return { next, asked: () => calls.length };
}

test("however often a frame is asked for, there is one", () => {
  const { next, asked } = screen();
  let drawn = 0;
  const frames = new Frames(
    () => false,
    () => (drawn += 1),
  );

  frames.ask();
  frames.ask();
  assert.equal(asked(), 1);
  next();

  assert.equal(drawn, 1);
  assert.equal(asked(), 0);
});

test("in a flood every second frame is left out, and the last one is not", () => {
  const { next, asked } = screen();
  const drawn: number[] = [];
  const frames = new Frames(
    () => true,
    () => drawn.push(at),
  );
  let at = 1;

  for (; at <= 6; at += 1) {
    frames.ask();
    next();
  }

  assert.deepEqual(drawn, [2, 4, 6]);
  frames.ask();
  next();
  assert.equal(asked(), 1); // what was left out comes with the next one, though nobody asks again
  at = 8;
  next();
  assert.deepEqual(drawn, [2, 4, 6, 8]);
});

test("a flood that is over leaves no frame out", () => {
  const { next } = screen();
  let flooded = true;
  let drawn = 0;
  const frames = new Frames(
    () => flooded,
    () => (drawn += 1),
  );
  frames.ask();
  next();
  flooded = false;

  for (let time = 0; time < 3; time += 1) {
    frames.ask();
    next();
  }

  assert.equal(drawn, 3);
});
