// Which records have come already, in bounded memory.

/** Remembers at least the last `kept` keys, and at most twice as many. */
export class Seen {
  #young = new Set<string>();
  #old = new Set<string>();
  readonly #kept: number;

  constructor(kept: number) {
    this.#kept = kept;
  }

  /** Notes a key; whether it is a new one. */
  add(key: string): boolean {
    if (this.#young.has(key)) return false;
    const known = this.#old.has(key);
    // A repeat is noted again, because what repeats once is likely to do so again.
    this.#young.add(key);
    if (this.#young.size >= this.#kept) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    return !known;
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}
