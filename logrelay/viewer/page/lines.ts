/** The list with its reader: which line is selected, what is found, how tall lines are, what a click means. */

import { plain } from "./ansi.js";
import { parseHex } from "./colours.js";
import type { Rgb } from "./ansi.js";
import { byId, say } from "./dom.js";
import { finder, next } from "./find.js";
import { lines as linesOf } from "./groups.js";
import { List } from "./list.js";
import type { RelayFilter } from "./model.js";
import { needles } from "./query.js";
import { CUT, type Look } from "./row.js";
import type { Session } from "./session.js";
import type { Settings } from "./settings.js";
import { texts } from "./texts.js";
import { TextSelection } from "./textselection.js";
import { stamp } from "./time.js";

const META = { wide: 250, narrow: 20 }; // pixels of a row that its message has not, to begin with
const REACH = 5000; // entries behind a line among which those that are folded under it lie
const PAD = 2; // pixels above and below a line's text together

/** What the heights of all lines have in common, in pixels and letters. */
interface Space {
  meta: number;
  pad: number;
  columns: number;
  line: number;
}

export interface LinesEvents {
  open(number: number): void;
  service(anchor: HTMLElement, service: string): void;
  selected(number: number | null): void;
  followed(following: boolean): void;
  nearTop(): void;
  drawn(first: number, last: number): void;
}

export class Lines {
  readonly list: List;
  readonly scroller = byId("lines");
  selected: number | null = null;
  anchor: number | null = null; // the other end of a selection
  find: RegExp | null = null;
  current: number | null = null; // the match of the moment
  private filter: RegExp | null = null;
  private ground: Rgb = [0, 0, 0];
  private letter = 7.2; // pixels of a letter of the lines' font
  private line = 18; // pixels of a line of text
  private space: Space | null = null;
  private shape = ""; // all that lines' heights depend on, as a text
  private narrow = matchMedia("(max-width: 640px)");
  private touch = matchMedia("(pointer: coarse)");

  constructor(
    private readonly session: Session,
    private readonly settings: Settings,
    private readonly events: LinesEvents,
  ) {
    const ring = session.ring;
    // Before the list's own, which then asks for all heights.
    new ResizeObserver(() => (this.space = null)).observe(this.scroller);
    this.list = new List(
      ring,
      this.scroller,
      byId("canvas"),
      (number) => this.height(number),
      (number) => this.look(number),
      () => this.settings.wrap || this.session.groups.unfolded.size > 0,
      {
        followed: (on) => events.followed(on),
        nearTop: () => events.nearTop(),
        drawn: (first, last) => events.drawn(first, last),
      },
    );
    this.scroller.addEventListener("click", (event) => this.click(event));
    this.scroller.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());
    this.scroller.addEventListener("contextmenu", () => this.list.follow(false));
    this.scroller.addEventListener("pointerover", (event) => this.explain(event));
    new TextSelection(this.scroller, this.list, ring);
    this.narrow.addEventListener("change", () => this.themed());
  }

  /** Colours, fonts or sizes have changed. */
  themed(): void {
    const style = getComputedStyle(document.documentElement);
    this.ground = parseHex(style.getPropertyValue("--ground").trim());
    this.line = parseFloat(style.getPropertyValue("--line")) || 18;
    const context = document.createElement("canvas").getContext("2d")!;
    context.font = `${style.getPropertyValue("--lines-size").trim()} ${getComputedStyle(this.scroller).fontFamily}`;
    this.letter = context.measureText("0".repeat(50)).width / 50 || 7.2;
    this.scroller.classList.toggle("wrapped", this.settings.wrap);
    this.space = null;
    const { wrap, grouped, dense, clock, nanoseconds } = this.settings;
    const shape = [
      wrap,
      grouped,
      dense,
      wrap && clock,
      wrap && nanoseconds,
      ...Object.values(this.room()),
    ].join();
    if (shape === this.shape) return this.list.refresh();
    this.shape = shape;
    this.list.relaid();
  }

  /** What a line's height is made of; asked of the browser once, and not for each of a hundred thousand lines. */
  private room(): Space {
    if (this.space) return this.space;
    const narrow = this.narrow.matches;
    const width = this.scroller.clientWidth - (narrow ? META.narrow : META.wide);
    return (this.space = {
      meta: narrow ? this.line : 0, // on a phone the message has a line of its own
      pad: PAD + (this.settings.dense && !this.touch.matches ? 0 : 6),
      columns: Math.max(10, Math.floor(width / this.letter)),
      line: this.line,
    });
  }

  filtered({ search, severity }: Pick<RelayFilter, "search" | "severity">): void {
    this.filter = finder(needles(search));
    this.scroller.classList.toggle("errors-only", severity === "error");
    this.list.refresh();
  }

  cleared(): void {
    this.select(null);
    this.current = null;
    this.list.cleared();
  }

  look(number: number): Look {
    const { groups, ring } = this.session;
    const member = this.settings.grouped && groups.head(number) !== null;
    const foldable = this.settings.grouped && !ring.isNotice(number) && !member;
    const unfolded = groups.unfolded.has(number);
    const folded =
      foldable && !unfolded && !(this.settings.wrap && groups.folded(number) === 0)
        ? groups.folded(number)
        : 0;
    return {
      settings: this.settings,
      ground: this.ground,
      find: this.find,
      filter: this.filter,
      selected: this.isSelected(number),
      found: number === this.current,
      folded,
      gist: folded ? groups.gist(number) : "",
      unfolded,
      member,
      now: Date.now(),
    };
  }

  // -- selection ---------------------------------------------------------------------------------------------

  isSelected(number: number): boolean {
    if (this.selected === null) return false;
    const other = this.anchor ?? this.selected;
    return number >= Math.min(other, this.selected) && number <= Math.max(other, this.selected);
  }

  /** The selected records that are still held, oldest first. */
  selection(): number[] {
    if (this.selected === null) return [];
    const { ring } = this.session;
    const other = this.anchor ?? this.selected;
    const from = Math.max(ring.first, Math.min(other, this.selected));
    const to = Math.min(ring.end - 1, Math.max(other, this.selected));
    const numbers: number[] = [];
    for (let number = from; number <= to; number += 1) if (!ring.isNotice(number)) numbers.push(number);
    return numbers;
  }

  select(number: number | null, extend = false): void {
    if (extend && number !== null) this.anchor ??= this.selected ?? number;
    else this.anchor = null;
    this.selected = number;
    this.list.refresh();
    this.events.selected(number);
    if (number !== null) this.speak(number);
  }

  /** Moves the selection by a line that can be seen; members of folded groups are passed over. */
  step(by: 1 | -1, extend = false): void {
    const { ring } = this.session;
    if (ring.length === 0) return;
    const selected = this.selected !== null && ring.has(this.selected) ? this.selected : null; // or let go since
    const from = selected ?? (by === 1 ? this.list.top() - 1 : ring.end);
    const found = next(from, by, ring.first, ring.end, (number) => this.height(number) > 0);
    if (found === null) return;
    this.select(found, extend);
    this.list.reveal(found, false);
  }

  /** What a screen reader says of a line, because the list itself must not speak at every line that comes. */
  private speak(number: number): void {
    const entry = this.session.ring.entry(number);
    if (entry.notice) return;
    const time = stamp(entry.time, entry.id, { ...this.settings, nanoseconds: false }, Date.now());
    say(
      byId("spoken"),
      `${entry.severity ?? texts.list.noSeverity}, ${entry.service}, ${time}: ${plain(entry.message).slice(0, 300)}`,
    );
  }

  // -- finding -----------------------------------------------------------------------------------------------

  matches(number: number): boolean {
    const { ring } = this.session;
    if (!this.find || ring.isNotice(number)) return false;
    this.find.lastIndex = 0;
    if (this.find.test(ring.message(number))) return true;
    this.find.lastIndex = 0;
    return this.find.test(ring.attributesOf(number));
  }

  /** Goes to the next line in a direction for which something holds; unfolds the group that it is in. */
  go(step: 1 | -1, test: (number: number) => boolean): boolean {
    const { ring, groups } = this.session;
    const start = this.current ?? this.selected ?? (step === -1 ? ring.end : this.list.top() - 1);
    const found = next(Math.max(ring.first - 1, Math.min(ring.end, start)), step, ring.first, ring.end, test);
    if (found === null) return false;
    const head = groups.head(found);
    if (head !== null && !groups.unfolded.has(head)) this.fold(head);
    this.current = found;
    this.select(found);
    this.list.reveal(found);
    return true;
  }

  // -- folding -----------------------------------------------------------------------------------------------

  fold(number: number): void {
    const { groups } = this.session;
    const head = groups.head(number) ?? number;
    if (groups.unfolded.has(head)) groups.unfolded.delete(head);
    else if (groups.folded(head) > 0) groups.unfolded.add(head);
    else return;
    this.list.follow(false);
    this.list.resized(head, head + REACH);
  }

  private height(number: number): number {
    const { ring, groups } = this.session;
    const { settings } = this;
    const { meta, pad, line, columns } = this.room();
    if (ring.isNotice(number)) return line + 10;
    const head = settings.grouped ? groups.head(number) : null;
    if (head !== null && !groups.unfolded.has(head)) return 0;
    const message = ring.message(number);
    const unfolded = groups.unfolded.has(number);
    if (settings.wrap) return meta + pad + line * wrapped(message, unfolded || !settings.grouped, columns);
    return meta + pad + line * (unfolded ? linesOf(message) : 1);
  }

  // -- clicks ------------------------------------------------------------------------------------------------

  /** A time under the pointer says when that was, in full. */
  private explain({ target }: Event): void {
    const time = (target as HTMLElement).closest<HTMLElement>(".row .time");
    const number = Number(time?.parentElement?.dataset["n"] ?? NaN);
    if (!time || !this.session.ring.has(number)) return;
    const entry = this.session.ring.entry(number);
    const at = entry.id || new Date(entry.time).toISOString();
    const full = { ...this.settings, clock: "full" as const, nanoseconds: true };
    const now = Date.now();
    const ago = stamp(entry.time, at, { ...full, clock: "relative" }, now);
    time.title = texts.list.timeHint(
      stamp(entry.time, at, full, now),
      stamp(entry.time, at, { ...full, zone: "UTC" }, now),
      ago,
    );
  }

  private click(event: MouseEvent): void {
    const target = event.target as HTMLElement;
    const row = target.closest<HTMLElement>(".row");
    if (!row) return;
    const number = Number(row.dataset["n"]);
    const act = target.closest<HTMLElement>("[data-act]")?.dataset["act"];
    if (act === "fold") return this.fold(number);
    if (act === "service") return this.events.service(target, this.session.ring.entry(number).service);
    if (!document.getSelection()?.isCollapsed && !event.shiftKey) return; // text was being selected
    this.select(number, event.shiftKey);
    if (!event.shiftKey && !this.session.ring.isNotice(number)) this.events.open(number);
  }
}

/** About how many lines a message takes; the browser says how many when it is drawn. */
function wrapped(message: string, whole: boolean, columns: number): number {
  const end = message.indexOf("\n");
  if (end < 0 || !whole)
    return Math.max(1, Math.ceil(Math.min(end < 0 ? message.length : end, CUT) / columns));
  let count = 0;
  for (const part of message.slice(0, CUT).split("\n"))
    count += Math.max(1, Math.ceil(part.length / columns));
  return count;
}
