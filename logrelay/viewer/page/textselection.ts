/**
 * Text selected with the mouse across lines that come and go: while a button is pressed nothing moves under it, the
 * selected lines stay elements, and what is copied are whole lines rather than the pieces that rows are made of.
 */

import { lineOf } from "./exports.js";
import type { List } from "./list.js";
import type { Ring } from "./ring.js";

const MOST = 2000; // lines that are kept as elements for a selection

export class TextSelection {
  constructor(
    private readonly scroller: HTMLElement,
    private readonly list: List,
    private readonly ring: Ring,
  ) {
    scroller.addEventListener("pointerdown", ({ button, pointerType, target }) => {
      // Not on the scroll bar: of its button's release some browsers say nothing.
      const row = target instanceof Element ? target.closest(".row") : null;
      if (row && button === 0 && pointerType === "mouse") list.press(row);
    });
    addEventListener("pointermove", ({ buttons }) => buttons === 0 && list.press(null), { passive: true });
    for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => list.press(null));
    document.addEventListener("selectionchange", () => this.changed());
    scroller.addEventListener("copy", (event) => this.copied(event));
  }

  /** The numbers of the first and the last line of the selection, or null where there is none in the list. */
  private range(): [number, number] | null {
    const selection = document.getSelection();
    if (!selection || selection.isCollapsed) return null;
    const ends = [selection.anchorNode, selection.focusNode].map((node) => this.numberAt(node));
    if (ends[0] === null || ends[1] === null) return null;
    return [Math.min(ends[0]!, ends[1]!), Math.max(ends[0]!, ends[1]!)];
  }

  private numberAt(node: Node | null): number | null {
    const element = node instanceof Element ? node : (node?.parentElement ?? null);
    const row = element?.closest<HTMLElement>(".row");
    return row && this.scroller.contains(row) ? Number(row.dataset["n"]) : null;
  }

  private changed(): void {
    const range = this.range();
    if (range) this.list.follow(false); // lines must not run away under it
    this.list.pin(range && range[1] - range[0] < MOST ? [range[0], range[1] + 1] : null);
  }

  private copied(event: ClipboardEvent): void {
    const range = this.range();
    if (!range || range[0] === range[1] || !event.clipboardData) return; // within a line, it is what is marked
    const text: string[] = [];
    for (let number = Math.max(this.ring.first, range[0]); number <= range[1]; number += 1) {
      if (this.ring.has(number) && !this.ring.isNotice(number)) text.push(lineOf(this.ring.entry(number)));
    }
    event.clipboardData.setData("text/plain", text.join("\n"));
    event.preventDefault();
  }
}
