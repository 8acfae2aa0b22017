/** Find: highlights without filtering, counts, and goes from match to match. */

import { byId, say } from "./dom.js";
import { finder } from "./find.js";
import type { Lines } from "./lines.js";
import type { Ring } from "./ring.js";
import { texts } from "./texts.js";

const SLOTS = 131_072;
const SLICE = 4000; // entries that are looked at between two frames, at most
const BUDGET = 6; // milliseconds that this may take, for lines of a hundred thousand letters
const STEP = 64; // entries between two looks at the clock

export class FindBar {
  private readonly host = byId("find-bar");
  private readonly input = byId("find") as HTMLInputElement;
  private readonly count = byId("find-count");
  private readonly hits = new Uint8Array(SLOTS);
  private from = 0; // entries from here …
  private to = 0; // … to here have been looked at
  private found = 0;
  private asked = false;

  constructor(
    private readonly lines: Lines,
    private readonly ring: Ring,
    private readonly older: (wanted: string) => void,
  ) {
    this.input.addEventListener("input", () => this.changed());
    this.input.addEventListener("keydown", (event) => this.key(event));
    byId("find-previous").addEventListener("click", () => this.go(-1));
    byId("find-next").addEventListener("click", () => this.go(1));
    byId("find-close").addEventListener("click", () => this.close());
    byId("find-older").addEventListener("click", () => this.text && this.older(this.text));
  }

  get shown(): boolean {
    return !this.host.hidden;
  }

  get text(): string {
    return this.shown ? this.input.value.trim() : "";
  }

  open(text?: string): void {
    this.host.hidden = false;
    if (text !== undefined) this.input.value = text;
    else {
      this.input.focus();
      this.input.select();
    }
    this.changed();
  }

  close(): void {
    this.host.hidden = true;
    this.changed();
    this.lines.scroller.focus();
  }

  /** The next match downwards (1) or upwards (-1). */
  go(step: 1 | -1): void {
    if (!this.shown) return this.open();
    if (!this.text) return;
    this.lines.go(step, (number) => this.hit(number));
    this.tell();
  }

  /** Whether an entry matches; those that were looked at are not looked at again. */
  private hit(number: number): boolean {
    if (number >= this.from && number < this.to) return this.hits[number & (SLOTS - 1)] === 1;
    return this.lines.matches(number);
  }

  /** All that was counted is counted anew. */
  again(): void {
    this.hits.fill(0);
    this.from = this.to = this.ring.first;
    this.found = 0;
    this.scan();
  }

  /** Entries were added or let go. */
  grown(): void {
    if (this.lines.find) this.scan();
  }

  private changed(): void {
    this.lines.find = finder([this.text]);
    this.lines.current = null;
    this.lines.list.refresh();
    this.again();
  }

  /** Looks at some more entries; the rest in the frames that follow, so that no key waits. */
  private scan(): void {
    if (!this.lines.find) {
      say(this.count, "");
      return;
    }
    for (; this.from < this.ring.first; this.from += 1) {
      this.found -= this.hits[this.from & (SLOTS - 1)]!;
      this.hits[this.from & (SLOTS - 1)] = 0;
    }
    this.to = Math.max(this.to, this.from);
    const end = Math.min(this.ring.end, this.to + SLICE);
    const began = performance.now();
    for (; this.to < end; this.to += 1) {
      if (this.to % STEP === 0 && performance.now() - began > BUDGET) break;
      const hit = this.lines.matches(this.to) ? 1 : 0;
      this.hits[this.to & (SLOTS - 1)] = hit;
      this.found += hit;
    }
    this.tell();
    if (this.to < this.ring.end && !this.asked) {
      this.asked = true;
      requestAnimationFrame(() => {
        this.asked = false;
        this.scan();
      });
    }
  }

  /** How many matches there are, and which of them is the current one. */
  private tell(): void {
    const { current } = this.lines;
    let place = 0;
    if (current !== null && current >= this.from && current < this.to && this.hits[current & (SLOTS - 1)])
      for (let number = this.from; number <= current; number += 1) place += this.hits[number & (SLOTS - 1)]!;
    const { matches, matchOf } = texts.bar;
    say(this.count, place ? matchOf(place, this.found) : matches(this.found));
    this.count.classList.toggle("none", this.found === 0 && this.to === this.ring.end);
  }

  private key(event: KeyboardEvent): void {
    // The newest match first: most searches are about what has just happened.
    if (event.key === "Enter" || event.key === "ArrowUp") this.go(event.shiftKey ? 1 : -1);
    else if (event.key === "ArrowDown") this.go(1);
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
