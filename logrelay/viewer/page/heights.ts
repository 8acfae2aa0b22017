/**
 * How tall each entry is and where it stands: a Fenwick tree over a ring of slots, so that a place is found, and a
 * height changed, in a handful of steps however many entries there are.
 */

const SLOTS = 131_072;

export class Heights {
  private readonly tree = new Float64Array(SLOTS + 1);
  private readonly own = new Float64Array(SLOTS);
  /** The sum of all heights, in pixels. */
  total = 0;

  set(number: number, height: number): void {
    const slot = number & (SLOTS - 1);
    const change = height - this.own[slot]!;
    if (change === 0) return;
    this.own[slot] = height;
    this.total += change;
    for (let at = slot + 1; at <= SLOTS; at += at & -at) this.tree[at]! += change;
  }

  /** All heights anew, which takes a step for each and not the handful that a change of one takes. */
  fill(first: number, end: number, height: (number: number) => number): void {
    this.clear();
    for (let number = first; number < end; number += 1) {
      const own = height(number);
      const slot = number & (SLOTS - 1);
      this.own[slot] = this.tree[slot + 1] = own;
      this.total += own;
    }
    for (let at = 1; at <= SLOTS; at += 1) {
      const above = at + (at & -at);
      if (above <= SLOTS) this.tree[above]! += this.tree[at]!;
    }
  }

  get(number: number): number {
    return this.own[number & (SLOTS - 1)]!;
  }

  clear(): void {
    this.tree.fill(0);
    this.own.fill(0);
    this.total = 0;
  }

  /** The height of all entries from `first` up to, and without, `number`. */
  before(first: number, number: number): number {
    if (number <= first) return 0;
    const from = first & (SLOTS - 1);
    const to = number & (SLOTS - 1);
    const sum = this.prefix(to) - this.prefix(from);
    return to > from ? sum : sum + this.total; // the ring's seam lies between the two
  }

  /** The entry that stands at so many pixels below the top of `first`; `end` bounds it. */
  at(first: number, end: number, pixels: number): number {
    let low = first;
    let high = Math.max(first, end - 1);
    while (low < high) {
      const middle = low + ((high - low + 1) >> 1); // the sum of two numbers may be more than 31 bits, after days
      if (this.before(first, middle) <= pixels) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private prefix(slot: number): number {
    let sum = 0;
    for (let at = slot; at > 0; at -= at & -at) sum += this.tree[at]!;
    return sum;
  }
}
