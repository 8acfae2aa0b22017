// Holds entries between the socket and those who take them, and says when there are too many.
import type { Entry } from "./types.js";
import type { Surroundings } from "./surroundings.js";

export interface DeliveryLimits {
  readonly highWater: number;
  readonly lowWater: number;
  /** The most entries that are handed over at once. */
  readonly batch: number;
  readonly immediate: boolean;
}

/** What the delivery tells its owner. */
export interface DeliveryOwner {
  /** Hands a batch to the listeners. */
  handOver(entries: readonly Entry[]): void;
  /** Whether any listener wants entries. */
  listening(): boolean;
  /** There are too many entries (true), or few enough again. */
  pressed(on: boolean): void;
}

/** Gives every taker each entry once, in order. The slowest taker sets the pace; a hidden page takes nothing. */
export class Delivery {
  #waiting: Entry[] = [];
  #first = 0; // what lies before it in `waiting` has been handed over
  #takers = new Set<Taker>();
  #cancelFrame: (() => void) | null = null;
  #flushing = false; // what takers do meanwhile must not overtake it
  #pressed = false;
  #ended = false;
  #error: Error | null = null;

  constructor(
    private readonly surroundings: Surroundings,
    private readonly limits: DeliveryLimits,
    private readonly owner: DeliveryOwner,
  ) {}

  /** Entries that haven't been taken yet. */
  get depth(): number {
    return this.#undelivered + Math.max(0, ...[...this.#takers].map((taker) => taker.buffer.length));
  }

  /** Whether everyone has taken what was handed over last. */
  get taken(): boolean {
    return [...this.#takers].every((taker) => taker.buffer.length === 0);
  }

  get #undelivered(): number {
    return this.#waiting.length - this.#first;
  }

  push(entries: readonly Entry[]): void {
    for (const entry of entries) this.#waiting.push(entry);
    this.#weigh();
    this.wake();
  }

  /** Something has changed that may let entries go on: a new taker, or a page that is looked at again. */
  wake(): void {
    if (this.#flushing) return;
    if (this.limits.immediate) {
      while (this.#flush());
      return;
    }
    if (this.#cancelFrame !== null || this.#undelivered === 0) return;
    this.#cancelFrame = this.surroundings.frame(() => {
      this.#cancelFrame = null;
      if (this.#flush()) this.wake();
    });
  }

  /** No more will come; takers get what waits, and then the end, which is an error if one is given. */
  end(error: Error | null): void {
    this.#ended = true;
    this.#error = error;
    for (const taker of this.#takers) taker.settle();
  }

  /** Nobody wants what waits any more. */
  discard(): void {
    this.#waiting = [];
    this.#first = 0;
    this.#cancelFrame?.();
    this.#cancelFrame = null;
    for (const taker of this.#takers) taker.buffer = [];
    this.end(null);
  }

  /** Batches as an async iterator; what was handed over before isn't among them. */
  batches(): AsyncIterableIterator<readonly Entry[]> {
    const taker = new Taker(
      () => this.#taken(),
      () => this.#finished(),
      () => this.#leave(taker),
    );
    this.#takers.add(taker);
    this.wake();
    return taker;
  }

  /** Hands the next batch over; whether there is more for which there is room. */
  #flush(): boolean {
    const willing = this.owner.listening() || this.#takers.size > 0;
    if (this.#undelivered === 0 || !willing || !this.taken || this.surroundings.visibility.hidden)
      return false;
    const batch = this.#waiting.slice(this.#first, this.#first + this.limits.batch);
    this.#first += batch.length;
    if (this.#first === this.#waiting.length || this.#first > this.limits.highWater) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    this.#flushing = true;
    for (const taker of [...this.#takers]) taker.fill(batch);
    this.owner.handOver(batch);
    this.#flushing = false;
    this.#weigh();
    return this.#undelivered > 0;
  }

  #taken(): void {
    this.#weigh();
    this.wake();
  }

  #leave(taker: Taker): void {
    if (this.#takers.delete(taker)) this.#taken();
  }

  #finished(): { error: Error | null } | null {
    return this.#ended && this.#undelivered === 0 ? { error: this.#error } : null;
  }

  #weigh(): void {
    const depth = this.depth;
    const pressed = this.#pressed ? depth > this.limits.lowWater : depth >= this.limits.highWater;
    if (pressed === this.#pressed) return;
    this.#pressed = pressed;
    this.owner.pressed(pressed);
  }
}

type Result = IteratorResult<readonly Entry[], undefined>;

/** One async iterator over batches. */
class Taker implements AsyncIterableIterator<readonly Entry[]> {
  buffer: readonly Entry[] = [];
  #waiting: { resolve: (result: Result) => void; reject: (error: Error) => void }[] = [];
  #left = false;

  constructor(
    private readonly taken: () => void,
    private readonly finished: () => { error: Error | null } | null,
    private readonly leave: () => void,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  fill(batch: readonly Entry[]): void {
    this.buffer = batch;
    this.settle();
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.settle();
    });
  }

  /** Answers those who wait, as far as that is possible. */
  settle(): void {
    for (let asked = this.#waiting[0]; asked !== undefined; asked = this.#waiting[0]) {
      const end = this.#left ? { error: null } : this.finished();
      if (this.buffer.length > 0 && !this.#left) {
        const value = this.buffer;
        this.buffer = [];
        this.#waiting.shift();
        asked.resolve({ value, done: false });
        this.taken();
      } else if (end === null) {
        return;
      } else {
        this.#waiting.shift();
        this.#left = true;
        if (end.error === null) asked.resolve({ value: undefined, done: true });
        else asked.reject(end.error);
      }
    }
  }

  return(): Promise<Result> {
    this.#left = true;
    this.buffer = [];
    this.settle();
    this.leave();
    return Promise.resolve({ value: undefined, done: true });
  }
}
