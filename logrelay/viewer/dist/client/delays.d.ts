import type { Return } from "./endings.js";
/** The longest that a timer can wait; one that is told to wait longer fires at once. */
export declare const LONGEST: number;
/** Doubles with each attempt (from 0), and differs by up to a half, so that viewers don't all come at once. */
export declare function pause(kind: Return, attempt: number, random: number): number;
/** What the relay asked for is kept, and not all at the same moment: up to a half is added. */
export declare function atLeast(delay: number, retryAfter: number | undefined, random: number): number;
