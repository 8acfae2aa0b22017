/** The elements of the lines that can be seen, each used again for another line when its own is out of sight. */

import type { Heights } from "./heights.js";
import { makeRow, type Row } from "./row.js";

export class Rows {
  private readonly shown = new Map<number, Row>();
  private readonly spare: Row[] = [];

  constructor(
    private readonly canvas: HTMLElement,
    private readonly heights: Heights,
    private readonly fill: (row: Row, number: number) => void,
  ) {}

  /** Shows these entries and no others; fills those that are new here, or all. Gives the numbers it has filled. */
  show(from: number, to: number, all: boolean): number[] {
    for (const number of this.shown.keys()) if (number < from || number >= to) this.release(number);
    const filled: number[] = [];
    for (let number = from; number < to; number += 1) {
      if (this.heights.get(number) === 0) {
        this.release(number);
        continue;
      }
      const known = this.shown.get(number);
      if (known && !all) continue;
      this.fill(known ?? this.take(number), number);
      filled.push(number);
    }
    return filled;
  }

  /** The height that the browser gives to an entry's row; 0 where it has none. */
  measured(number: number): number {
    return this.shown.get(number)?.root.offsetHeight ?? 0;
  }

  /** Moves the rows to their places, from a top in pixels downwards. */
  place(from: number, to: number, top: number): void {
    for (let number = from; number < to; number += 1) {
      const row = this.shown.get(number);
      if (row) {
        const where = `translateY(${top}px)`;
        if (row.root.style.transform !== where) row.root.style.transform = where;
      }
      top += this.heights.get(number);
    }
  }

  /** Puts the elements in the order of the lines, for screen readers and for text that is selected across lines. */
  order(): void {
    let before: ChildNode | null = null;
    for (const number of [...this.shown.keys()].sort((one, other) => one - other)) {
      const row = this.shown.get(number)!.root;
      const wanted: ChildNode | null = before ? before.nextSibling : this.canvas.firstChild;
      if (wanted !== row) this.canvas.insertBefore(row, wanted);
      before = row;
    }
  }

  /** The same, by moving all but one: an element that is moved while a button is pressed on it gets no click. */
  orderAround(kept: Node): void {
    const rows = [...this.shown].sort(([one], [other]) => one - other).map(([, { root }]) => root);
    const at = rows.findIndex((row) => row === kept);
    if (at < 0) return;
    for (const row of rows.slice(0, at)) this.canvas.insertBefore(row, kept);
    for (const row of rows.slice(at + 1).reverse()) this.canvas.insertBefore(row, kept.nextSibling);
    while (this.canvas.firstChild !== rows[0]) this.canvas.append(this.canvas.firstChild!);
  }

  release(number: number): void {
    const row = this.shown.get(number);
    if (!row) return;
    this.shown.delete(number);
    row.root.hidden = true;
    this.spare.push(row);
  }

  clear(): void {
    for (const number of [...this.shown.keys()]) this.release(number);
  }

  private take(number: number): Row {
    const row = this.spare.pop() ?? makeRow();
    this.shown.set(number, row);
    row.root.dataset["n"] = String(number);
    row.root.hidden = false;
    if (!row.root.isConnected) this.canvas.append(row.root);
    return row;
  }
}
