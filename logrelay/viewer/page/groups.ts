/** Which lines are folded under which: stack traces cut into records, and messages of several lines. */

import type { Ring } from "./ring.js";
import { Traces } from "./traces.js";

const SLOTS = 131_072;
const MASK = SLOTS - 1;
const REACH = 1000; // entries behind a line among which the last of its group is looked for
const MOST = 1000; // lines of one message that are counted; an unfolded one has a height of its own

export class Groups {
  /** Lines whose folded part is shown. */
  readonly unfolded = new Set<number>();
  private readonly heads = new Float64Array(SLOTS).fill(NaN);
  private readonly members = new Uint16Array(SLOTS);
  private traces = new Traces();

  constructor(private readonly ring: Ring) {}

  clear(): void {
    this.heads.fill(NaN);
    this.members.fill(0);
    this.unfolded.clear();
    this.traces = new Traces();
  }

  /** A record was added at the end; the head of its group, if it has become a member of one. */
  added(number: number): number | null {
    for (const unfolded of this.unfolded) if (!this.ring.has(unfolded)) this.unfolded.delete(unfolded);
    return this.join(this.traces, number);
  }

  /** Records were added at the beginning, up to and without `end`. */
  addedAbove(end: number): void {
    const traces = new Traces();
    for (let number = this.ring.first; number < end; number += 1) this.join(traces, number);
  }

  /** The line that this one is folded under, or null. */
  head(number: number): number | null {
    const head = this.heads[number & MASK]!;
    return Number.isNaN(head) || !this.ring.has(head) ? null : head;
  }

  /** Lines folded under this one: of its own message, and records of their own. */
  folded(number: number): number {
    return this.members[number & MASK]! + lines(this.ring.message(number)) - 1;
  }

  /** What a folded Python traceback ends with: its first line says nothing. "" for any other line. */
  gist(number: number): string {
    const message = this.ring.message(number);
    if (!message.startsWith("Traceback (most recent")) return "";
    let last = lastLine(message);
    const end = Math.min(this.ring.end, number + REACH);
    for (let seen = 0, at = number + 1; at < end && seen < this.members[number & MASK]!; at += 1) {
      if (this.head(at) !== number) continue;
      seen += 1;
      last = lastLine(this.ring.message(at)) || last;
    }
    return last;
  }

  private join(traces: Traces, number: number): number | null {
    const ring = this.ring;
    const placed = traces.place(number, ring.source(number), ring.message(number), ring.time(number));
    const head = placed !== null && ring.has(placed) ? placed : null; // it may have been let go since
    this.members[number & MASK] = 0;
    this.heads[number & MASK] = head ?? NaN;
    if (head !== null) this.members[head & MASK]! += 1;
    return head;
  }
}

/** The last line of a text of several that isn't blank; "" for a text of one line. */
function lastLine(text: string): string {
  const whole = text.trimEnd();
  const from = whole.lastIndexOf("\n") + 1;
  return from > 0 || !whole.startsWith("Traceback (") ? whole.slice(from, from + 500) : "";
}

/** How many lines a text has; a line's end at its own end begins no other. */
export function lines(text: string): number {
  let count = 1;
  for (
    let at = text.indexOf("\n");
    at >= 0 && at < text.length - 1 && count < MOST;
    at = text.indexOf("\n", at + 1)
  )
    count += 1;
  return count;
}
