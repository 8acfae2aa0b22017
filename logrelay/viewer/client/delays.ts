// How long to wait before the next attempt. Everything is in milliseconds.
import type { Return } from "./endings.js";

/** The longest that a timer can wait; one that is told to wait longer fires at once. */
export const LONGEST = 2 ** 31 - 1;

const SOON = { first: 500, longest: 30_000 };
const LATER = { first: 30_000, longest: 300_000 };

/** Doubles with each attempt (from 0), and differs by up to a half, so that viewers don't all come at once. */
export function pause(kind: Return, attempt: number, random: number): number {
  const { first, longest } = kind === "later" ? LATER : SOON;
  return Math.min(longest, first * 2 ** Math.min(attempt, 30)) * (0.5 + random);
}

/** What the relay asked for is kept, and not all at the same moment: up to a half is added. */
export function atLeast(delay: number, retryAfter: number | undefined, random: number): number {
  return retryAfter === undefined ? delay : Math.max(delay, retryAfter * 1000 * (1 + random / 2));
}
