// When to connect again. Only data from the relay counts as success.
import { type Return } from "./endings.js";
import { atLeast, LONGEST, pause } from "./delays.js";
import type { Surroundings } from "./surroundings.js";
import type { ErrorMessage } from "./wire.js";

export class Retries {
  /** Connections that ended since data came last. */
  attempt = 0;
  #laters = 0; // of those, the ones that were told to come later
  #draining: number | null = null; // seconds
  #cancel: (() => void) | null = null;
  #hasty = false; // whether nothing but our own caution keeps us from connecting now

  constructor(
    private readonly surroundings: Surroundings,
    private readonly connect: () => void,
  ) {}

  /** Data has come. */
  succeeded(): void {
    this.attempt = 0;
    this.#laters = 0;
  }

  /** The relay has said when to come back from its restart. */
  draining(seconds: number): void {
    this.#draining = seconds;
  }

  /** Plans the next attempt; its time in milliseconds since 1970. */
  plan(how: Return, error: ErrorMessage | null): number {
    const delay = Math.min(LONGEST, this.#delay(how, error));
    this.attempt += 1;
    this.#laters += how === "later" ? 1 : 0;
    this.cancel();
    this.#cancel = this.surroundings.later(() => this.#go(), delay);
    return this.surroundings.now() + delay;
  }

  /** Somebody looks, or asks: connect now, unless the relay has asked for patience. */
  hurry(): void {
    if (this.#cancel !== null && this.#hasty) this.#go();
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #go(): void {
    this.cancel();
    this.connect();
  }

  #delay(how: Return, error: ErrorMessage | null): number {
    const random = this.surroundings.random();
    const draining = this.#draining;
    this.#draining = null;
    this.#hasty = draining === null && how === "soon" && error?.retryAfter === undefined;
    if (draining !== null && how === "soon") return draining * 1000; // spread over clients by the relay already
    if (how === "renew" && this.attempt === 0) return 0;
    const attempt = how === "later" ? this.#laters : this.attempt;
    return atLeast(pause(how, attempt, random), error?.retryAfter, random);
  }
}
