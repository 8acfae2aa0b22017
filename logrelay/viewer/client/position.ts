// Where in the stream this viewer is, over all of its connections.
import type { Place } from "./address.js";

const SETTLED = 1000; // milliseconds after `connected`, when the records of the tail have come if there were any
const LAG = 10_000; // milliseconds that a record may take from its stamp to the relay

/** The id to resume after. Without one: how many past records to ask for, or a time. */
export class Position {
  #lastId: string | null;
  #tail: number;
  #served: { at: number; stamp: number } | null = null; // since `connected`, as long as there is no id

  constructor(lastId: string | undefined, tail: number) {
    this.#lastId = lastId ?? null;
    this.#tail = tail;
  }

  get lastId(): string | null {
    return this.#lastId;
  }

  /** A record has come, or a heartbeat with its place. The newest to come counts, whatever its stamp. */
  move(id: string | null): void {
    this.#lastId = id ?? this.#lastId;
  }

  /** Served from now on: `now` by this clock, `timestamp` by the relay's. */
  connected(now: number, timestamp: string): void {
    const stamp = Date.parse(timestamp);
    this.#served ??= { at: now, stamp: Number.isNaN(stamp) ? now : stamp };
  }

  /** So many past records will come through another filter; a connection that is lost before has to ask for them. */
  replayed(count: number): void {
    this.#lastId = null;
    this.#served = null;
    this.#tail = count;
  }

  place(now: number): Place {
    if (this.#lastId !== null) return { lastId: this.#lastId };
    if (this.#served !== null && (this.#tail === 0 || now - this.#served.at >= SETTLED)) {
      // There was nothing to resume after. What has come since must not be left to the size of a tail.
      return { lastTimestamp: new Date(this.#served.stamp - LAG).toISOString() };
    }
    return { tail: this.#tail };
  }
}
