/**
 * The lines on the screen: only those that can be seen are elements. Follows the newest line, or holds still where
 * its reader has scrolled to, whatever is added at either end or let go.
 *
 * A frame reads what it needs first and writes afterwards. Lines that are let go above a reader leave blank space
 * at the top, which is taken away when nobody is scrolling; so a scroll under way is never pulled about.
 */

import { Frames } from "./frames.js";
import { Heights } from "./heights.js";
import type { Ring } from "./ring.js";
import { fill, type Look } from "./row.js";
import { Rows } from "./rows.js";

const OVERSCAN = 8; // rows beyond either edge
const IDLE = 180; // milliseconds without a scroll event after which nobody is scrolling
const NEAR_TOP = 400; // pixels from the oldest line at which older ones are asked for

export interface ListEvents {
  /** Following began or ended. */
  followed(following: boolean): void;
  /** The reader is near the oldest line. */
  nearTop(): void;
  /** Lines were drawn; for what shows where the reader is. */
  drawn(first: number, last: number): void;
}

export class List {
  following = true;
  /** Entries that have come since following ended. */
  unseen = 0;
  private readonly heights = new Heights();
  private readonly rows: Rows;
  private readonly frames = new Frames(
    () => this.flooded(),
    () => this.frame(),
  );
  private pinned: readonly [number, number] | null = null;
  private pressed = false;
  private blank = 0; // pixels above the oldest entry
  private viewHeight = 0;
  private drawnHeight = -1;
  private lastTop = 0;
  private scrolledAt = 0;
  private stale = false; // rows show something that has changed
  private drawnEnd = 0; // the end at the last frame
  private first: number;
  private end: number;

  constructor(
    private readonly ring: Ring,
    private readonly scroller: HTMLElement,
    private readonly canvas: HTMLElement,
    private readonly height: (number: number) => number,
    look: (number: number) => Look,
    private readonly measured: () => boolean,
    private readonly events: ListEvents,
  ) {
    this.rows = new Rows(canvas, this.heights, (row, number) => fill(row, ring.entry(number), look(number)));
    this.first = ring.first;
    this.end = ring.end;
    this.viewHeight = scroller.clientHeight;
    scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    let width = scroller.clientWidth;
    new ResizeObserver(() => {
      this.viewHeight = scroller.clientHeight;
      // How tall lines are depends on how wide they are, and on nothing else of a window.
      if (scroller.clientWidth === width) return this.draw();
      width = scroller.clientWidth;
      this.relaid();
    }).observe(scroller);
  }

  /** Entries were added at the end, and perhaps let go at the beginning. */
  grown(): void {
    const first = Math.max(this.first, Math.min(this.ring.first, this.end));
    for (let number = this.first; number < first; number += 1) this.drop(number);
    this.first = this.ring.first;
    for (let number = Math.max(this.end, this.ring.first); number < this.ring.end; number += 1) {
      this.heights.set(number, this.height(number));
    }
    if (!this.following) this.unseen += this.ring.end - this.end;
    this.end = this.ring.end;
    this.draw();
  }

  /** Entries were added at the beginning: what is looked at stays where it is. */
  grownAbove(): void {
    let added = 0;
    for (let number = this.ring.first; number < this.first; number += 1) {
      const height = this.height(number);
      this.heights.set(number, height);
      added += height;
    }
    this.first = this.ring.first;
    this.blank -= added;
    if (this.blank < 0) {
      const missing = -this.blank;
      this.blank = 0;
      this.stretch();
      this.move(this.scroller.scrollTop + missing);
    }
    this.draw();
  }

  cleared(): void {
    this.rows.clear();
    this.pinned = null;
    this.heights.clear();
    this.blank = this.unseen = 0;
    this.first = this.ring.first;
    this.end = this.ring.end;
    this.draw();
  }

  /** Entries look different, or have another height: after a change of settings, of the window, of a fold. */
  relaid(): void {
    const top = this.scroller.scrollTop - this.blank;
    const anchor = this.heights.at(this.first, this.end, top);
    const offset = top - this.heights.before(this.first, anchor);
    this.heights.fill(this.first, this.end, this.height);
    if (!this.following && this.end > this.first) {
      this.blank = 0;
      this.stretch();
      this.move(this.heights.before(this.first, anchor) + Math.min(offset, this.heights.get(anchor)));
    }
    this.refresh();
  }

  /** Some entries from here to there, without the latter, have other heights. */
  resized(from: number, to: number): void {
    const end = Math.min(this.end, to);
    for (let number = Math.max(this.first, from); number < end; number += 1) {
      this.heights.set(number, this.height(number));
    }
    this.refresh();
  }

  /** Rows are filled anew at the next frame. */
  refresh(): void {
    this.stale = true;
    this.draw();
  }

  follow(on: boolean): void {
    if (on === this.following) return;
    this.following = on;
    if (on) this.unseen = 0;
    this.events.followed(on);
    this.draw();
  }

  /** Brings an entry into view, in the middle unless it can be seen already. Ends following. */
  reveal(number: number, middle = true, always = false): void {
    if (number < this.first || number >= this.end) return;
    const top = this.blank + this.heights.before(this.first, number);
    const height = this.heights.get(number);
    const from = this.scroller.scrollTop;
    const seen = top >= from && top + height <= from + this.viewHeight;
    this.follow(false);
    if (seen && !always) return;
    this.stretch();
    if (middle) this.move(top - (this.viewHeight - height) / 2);
    else this.move(top < from ? top : top + height - this.viewHeight);
    this.draw();
  }

  /** Whether all lines can be seen at once, so that there is nothing to scroll. */
  get short(): boolean {
    return this.heights.total <= this.viewHeight;
  }

  /** The first entry that can be seen. */
  top(): number {
    return this.heights.at(this.first, this.end, this.scroller.scrollTop - this.blank);
  }

  /** Keeps these entries as elements wherever the list is scrolled to; null lets them go. */
  pin(range: readonly [number, number] | null): void {
    if (range === null && this.pinned === null) return;
    this.pinned = range;
    this.draw();
  }

  /** A button is pressed on a row, or let go (null): in between, nothing moves under it. */
  press(row: Element | null): void {
    if ((row !== null) === this.pressed) return;
    this.pressed = row !== null;
    if (row) this.rows.orderAround(row);
    else this.draw();
  }

  /** Asks for a frame, once. */
  draw(): void {
    this.frames.ask();
  }

  /** Whether all lines on the screen are others since the last frame: nobody reads those, and half the frames will do. */
  private flooded(): boolean {
    if (!this.following || this.stale || this.pressed) return false;
    return this.heights.total - this.heights.before(this.first, this.drawnEnd) > this.viewHeight;
  }

  private drop(number: number): void {
    if (!this.following) this.blank += this.heights.get(number);
    this.heights.set(number, 0);
    this.rows.release(number);
  }

  private scrolled(): void {
    const top = this.scroller.scrollTop;
    this.scrolledAt = performance.now();
    // As the browser has it now: after the window has grown, this event comes before any other.
    const atEnd = top + this.scroller.clientHeight >= this.scroller.scrollHeight - 4;
    // Only a move upwards is a reader's wish to stop: while lines come in, the end runs away by itself.
    if (this.following && top < this.lastTop - 2 && !atEnd) this.follow(false);
    else if (!this.following && atEnd && top > this.lastTop) this.follow(true);
    this.lastTop = top;
    this.draw();
  }

  private move(top: number): void {
    this.scroller.scrollTop = top;
    this.lastTop = this.scroller.scrollTop;
  }

  private stretch(): void {
    const height = this.blank + this.heights.total;
    if (height === this.drawnHeight) return;
    this.canvas.style.height = `${height}px`;
    this.drawnHeight = height;
  }

  private frame(): void {
    if (this.pressed && this.following) return;
    if (this.following) {
      this.blank = 0;
      this.stretch();
      const bottom = Math.max(0, this.heights.total - this.viewHeight);
      if (Math.abs(this.lastTop - bottom) > 0.5 || this.scroller.scrollTop !== this.lastTop)
        this.move(bottom);
    } else {
      this.takeBlankAway();
      this.stretch();
    }
    const [from, to] = this.range();
    const drawn = this.rows.show(from, to, this.stale);
    if (this.measured() && this.measure(drawn)) this.draw();
    this.stale = false;
    this.drawnEnd = this.end;
    this.rows.place(from, to, this.blank + this.heights.before(this.first, from));
    if (!this.following) this.rows.order();
    this.events.drawn(...this.visible());
    if (!this.following && this.lastTop - this.blank < NEAR_TOP) this.events.nearTop();
  }

  private takeBlankAway(): void {
    if (this.blank === 0) return;
    const resting = performance.now() - this.scrolledAt > IDLE;
    if (!resting && this.lastTop > this.blank) {
      setTimeout(() => this.draw(), IDLE + 20);
      return;
    }
    const top = Math.max(0, this.lastTop - this.blank);
    this.blank = 0;
    this.stretch();
    this.move(top);
  }

  /** The entries that can be seen, from the first to the one after the last. */
  private visible(): [number, number] {
    if (this.end <= this.first) return [this.first, this.first];
    const top = Math.max(0, this.lastTop - this.blank);
    const from = this.heights.at(this.first, this.end, top);
    return [from, Math.min(this.end, this.heights.at(this.first, this.end, top + this.viewHeight) + 1)];
  }

  /** The entries that are elements: some more at either end, and those that are selected as text. */
  private range(): [number, number] {
    const [from, to] = this.visible();
    const [pinnedFrom, pinnedTo] = this.pinned ?? [from, to];
    return [
      Math.max(this.first, Math.min(from - OVERSCAN, pinnedFrom)),
      Math.min(this.end, Math.max(to + OVERSCAN, pinnedTo)),
    ];
  }

  /** Takes the heights that the browser gives to rows that were just filled; whether any is another than thought. */
  private measure(drawn: readonly number[]): boolean {
    const top = this.top();
    let above = 0;
    let changed = false;
    for (const number of drawn) {
      const height = this.rows.measured(number);
      const before = this.heights.get(number);
      if (height === 0 || Math.abs(height - before) < 1) continue;
      if (number < top) above += height - before;
      this.heights.set(number, height);
      changed = true;
    }
    if (changed && !this.following) {
      this.stretch();
      if (above !== 0) this.move(this.lastTop + above);
    }
    return changed;
  }
}
