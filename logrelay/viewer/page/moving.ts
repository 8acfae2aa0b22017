/** Where the reader is: at the newest line, somewhere in the past, or around one line; and what says so. */

import type { Address } from "./address.js";
import { button, byId, say } from "./dom.js";
import type { Drawer } from "./drawer.js";
import type { FilterBar } from "./filterbar.js";
import type { Lines } from "./lines.js";
import { banner } from "./notes.js";
import type { View } from "./query.js";
import type { Session } from "./session.js";
import { texts } from "./texts.js";
import { topNote } from "./topnote.js";

const SETTLED = 400; // milliseconds after which lines that follow another have come
const NEAR_TOP = 400; // pixels from the oldest line at which it is said whether there are older ones

export interface MovingParts {
  session: Session;
  lines: Lines;
  bar: FilterBar;
  drawer: Drawer;
  address: Address;
  view: () => View;
}

export class Moving {
  /** The id of the record around which lines are shown, or null for the live log. */
  around: string | null = null;
  private readonly note = byId("top-note");

  constructor(private readonly parts: MovingParts) {
    parts.lines.scroller.addEventListener("scroll", () => this.topNote(), { passive: true });
    byId("newer").addEventListener("click", () => parts.lines.list.follow(true));
    byId("follow").addEventListener("click", () => parts.lines.list.follow(!parts.lines.list.following));
    this.pressed(true);
  }

  followed(following: boolean): void {
    this.pressed(following);
    this.guard();
    this.newer();
    if (following && this.around !== null) this.leaveAround(); // whoever has read on to the newest line is back
  }

  /** Keeps what is looked at from being pushed out by what comes. */
  guard(): void {
    const { session, lines } = this.parts;
    const { following } = lines.list;
    session.guard(following ? session.ring.end : lines.list.top(), following);
  }

  /** How much has come since following ended, and the way back. */
  newer(): void {
    const { list } = this.parts.lines;
    const host = byId("newer");
    if (list.short || !this.note.hidden) this.topNote();
    host.hidden = list.following;
    if (host.hidden) return;
    say(host, `↓ ${texts.list.newer(list.unseen)}`);
    host.setAttribute("aria-label", texts.list.newerLabel(list.unseen));
  }

  async older(): Promise<void> {
    const { session } = this.parts;
    if (session.olderState === "idle") {
      const asked = session.older();
      this.topNote();
      await asked;
    }
    this.topNote();
  }

  /** To the first line from a moment on. */
  jump(from: number): void {
    const { ring } = this.parts.session;
    const number = ring.at(from);
    if (number >= ring.first) this.to(number);
  }

  /** To one entry. */
  to(number: number): void {
    const { lines } = this.parts;
    lines.list.follow(false);
    lines.select(number);
    lines.list.reveal(number);
  }

  async showAround(id: string): Promise<void> {
    const { session, lines, address, view } = this.parts;
    this.around = id;
    this.unfiltered();
    address.show(view());
    const number = await session.start(address.environmentId ?? "", { at: id });
    if (this.around !== id) return;
    const { ring } = session;
    const found = number ?? (ring.length ? ring.first : null);
    banner(
      number === null ? texts.list.aroundMissing : texts.list.around,
      button(texts.list.backToLive, () => void this.live(), { "data-testid": "back-to-live" }),
    );
    if (found === null) return;
    lines.current = number;
    this.to(found);
    // What follows the line comes a moment later, and only then can it stand in the middle.
    setTimeout(() => this.settle(id, found), SETTLED);
  }

  async live(): Promise<void> {
    const { session, lines, address } = this.parts;
    this.leaveAround();
    await session.start(address.environmentId ?? "");
    lines.list.follow(true);
  }

  /** The lines are no longer those around a record. */
  leaveAround(): void {
    this.around = null;
    banner(null);
    this.parts.address.show(this.parts.view());
  }

  /** Shows everything: no filter, nothing open. */
  unfiltered(): void {
    const { session, lines, bar, drawer } = this.parts;
    const filter = { services: [], search: "", severity: null };
    drawer.close();
    bar.set(filter);
    session.filter = filter;
    session.attributes = [];
    lines.filtered(filter);
  }

  private pressed(following: boolean): void {
    byId("follow").setAttribute("aria-pressed", String(following));
  }

  private settle(id: string, number: number): void {
    const { list, selected } = this.parts.lines;
    if (this.around !== id || selected !== number) return;
    list.reveal(number, true, true);
    list.unseen = 0;
    this.newer();
  }

  /** Whether older lines are on their way, or why there are none, said at the top of the list. */
  private topNote(): void {
    const { session } = this.parts;
    const { list } = this.parts.lines;
    if (!list.following) return topNote(this.note, session, this.nearTop ? "top" : null, this.further);
    // A list that can't be scrolled has another way to what is older.
    const some = session.ring.length > 0 || session.olderState !== "idle";
    topNote(this.note, session, list.short && some && session.running ? "short" : null, this.further);
  }

  private get nearTop(): boolean {
    return this.parts.lines.scroller.scrollTop < NEAR_TOP;
  }

  /** Looks further back, as somebody has asked for. */
  further = (): void => {
    this.parts.session.olderAgain();
    void this.older();
  };
}
