/**
 * The elements of the lines that can be seen, each used again for another line when its own is out of sight.
 *
 * Rows stand in a layer that is moved as a whole, each so far below its top. So in a flood, where every row gets
 * another line with each frame, and where the oldest line goes for each that comes, only the layer is moved.
 */

import { el } from "./dom.js";
import type { Heights } from "./heights.js";
import { makeRow, type Row } from "./row.js";

const FAR = 1_000_000; // pixels from the layer's top from which on places would become inexact

export class Rows {
  private readonly shown = new Map<number, Row>();
  private readonly spare: Row[] = []; // hidden
  private readonly layer = el("div", { class: "layer" });
  private top = 0; // of the layer, in pixels

  constructor(
    canvas: HTMLElement,
    private readonly heights: Heights,
    private readonly fill: (row: Row, number: number) => void,
  ) {
    canvas.append(this.layer);
  }

  /** Shows these entries and no others; fills those that are new here, or all. Gives the numbers it has filled. */
  show(from: number, to: number, all: boolean): number[] {
    const free: Row[] = [];
    for (const [number, row] of this.shown) {
      if (number >= from && number < to && this.heights.get(number) > 0) continue;
      this.shown.delete(number);
      free.push(row);
    }
    // Used in the order they had, so that most find themselves in their place; hidden only where none is wanted.
    free.reverse();
    const filled: number[] = [];
    for (let number = from; number < to; number += 1) {
      if (this.heights.get(number) === 0) continue;
      const known = this.shown.get(number);
      if (known && !all) continue;
      this.fill(known ?? this.take(number, free.pop()), number);
      filled.push(number);
    }
    for (const row of free) this.hide(row);
    return filled;
  }

  /** The height that the browser gives to an entry's row; 0 where it has none. */
  measured(number: number): number {
    return this.shown.get(number)?.root.offsetHeight ?? 0;
  }

  /** Moves the rows to their places, from a top in pixels downwards. */
  place(from: number, to: number, top: number): void {
    const layer = this.layerTop(from, to, top);
    if (layer !== this.top) this.layer.style.transform = `translateY(${(this.top = layer)}px)`;
    for (let number = from; number < to; number += 1) {
      const row = this.shown.get(number);
      if (row) {
        const place = top - layer;
        if (row.place !== place) row.root.style.transform = `translateY(${(row.place = place)}px)`;
        row.moved = false;
      }
      top += this.heights.get(number);
    }
  }

  /** Where the layer has to be so that rows that show what they showed need not be moved in it, or else the first. */
  private layerTop(from: number, to: number, top: number): number {
    let first: number | null = null;
    for (let number = from; number < to; number += 1) {
      const row = this.shown.get(number);
      if (row && Math.abs(row.place) < FAR) {
        if (!row.moved) return top - row.place;
        first ??= top - row.place;
      }
      top += this.heights.get(number);
    }
    return first ?? top;
  }

  /** Puts the elements in the order of the lines, for screen readers and for text that is selected across lines. */
  order(): void {
    let before: ChildNode | null = null;
    for (const number of [...this.shown.keys()].sort((one, other) => one - other)) {
      const row = this.shown.get(number)!.root;
      const wanted: ChildNode | null = before ? before.nextSibling : this.layer.firstChild;
      if (wanted !== row) this.layer.insertBefore(row, wanted);
      before = row;
    }
  }

  /** The same, by moving all but one: an element that is moved while a button is pressed on it gets no click. */
  orderAround(kept: Node): void {
    const rows = [...this.shown].sort(([one], [other]) => one - other).map(([, { root }]) => root);
    const at = rows.findIndex((row) => row === kept);
    if (at < 0) return;
    for (const row of rows.slice(0, at)) this.layer.insertBefore(row, kept);
    for (const row of rows.slice(at + 1).reverse()) this.layer.insertBefore(row, kept.nextSibling);
    while (this.layer.firstChild !== rows[0]) this.layer.append(this.layer.firstChild!);
  }

  release(number: number): void {
    const row = this.shown.get(number);
    if (!row) return;
    this.shown.delete(number);
    this.hide(row);
  }

  clear(): void {
    for (const number of [...this.shown.keys()]) this.release(number);
  }

  private hide(row: Row): void {
    row.root.hidden = true;
    this.spare.push(row);
  }

  private take(number: number, free: Row | undefined): Row {
    const row = free ?? this.spare.pop() ?? makeRow();
    this.shown.set(number, row);
    row.moved = true;
    row.root.setAttribute("data-n", String(number));
    if (!free) row.root.hidden = false;
    if (!row.root.isConnected) this.layer.append(row.root);
    return row;
  }
}
