/** Holes that were announced: how long the header speaks of the newest one, and how many the page still holds. */

import type { StreamState } from "../client/index.js";
import type { Ring } from "./ring.js";

const SAID = 30_000; // milliseconds for which a hole is the first thing to say
export const HOLES = ["gap", "lost"];

export class Holes {
  private newest: number | null = null;
  private since = -Infinity;
  private seen = false;

  constructor(private readonly ring: Pick<Ring, "noticed" | "countNotices">) {}

  /** Rulers among the lines that say that something is missing. */
  get count(): number {
    return this.ring.countNotices(HOLES);
  }

  /** Whether the newest hole is news: just announced, and not looked at yet. */
  fresh(phase: StreamState["phase"], now: number): boolean {
    const newest = this.ring.noticed(HOLES);
    if (newest !== null && newest !== this.newest) {
      this.since = now;
      this.seen = false;
    }
    this.newest = newest;
    return HOLES.includes(phase) && !this.seen && now - this.since < SAID;
  }

  /** The reader has been told in full. */
  told(): void {
    this.seen = true;
  }
}
