/** Which view of which environment is shown: as the address asks, as the reader changes it, and back in the address. */

import type { Address } from "./address.js";
import type { FilterBar, Wish } from "./filterbar.js";
import type { FindBar } from "./findbar.js";
import type { Lines } from "./lines.js";
import type { Moving } from "./moving.js";
import { banner } from "./notes.js";
import { keepPlace, keptPlace } from "./place.js";
import { typed, viewOf, type View } from "./query.js";
import type { Session } from "./session.js";

export interface VisitingParts {
  session: Session;
  lines: Lines;
  bar: FilterBar;
  findBar: FindBar;
  moving: Moving;
  address: Address;
}

export class Visiting {
  private asked: View = viewOf(location.search);
  private resumed = keptPlace();

  constructor(private readonly parts: VisitingParts) {
    addEventListener("pagehide", () => keepPlace(parts.moving.around === null ? parts.session.lastId : null));
  }

  /** What an address says of this view. */
  view(): View {
    const { bar, findBar, moving } = this.parts;
    const { filter } = bar.wish();
    return {
      services: filter.services,
      q: bar.input.value.trim(),
      severity: filter.severity,
      find: findBar.text,
      at: moving.around ?? "",
    };
  }

  /** Fills the page with the view that its address asked for. */
  restore(): void {
    const { session, lines, bar, findBar } = this.parts;
    const { q, find, ...asked } = this.asked;
    const { search, services, severity, attributes } = typed(q);
    session.filter = {
      services: [...asked.services, ...services],
      search,
      severity: severity ?? asked.severity,
    };
    session.attributes = attributes;
    bar.set({ ...session.filter, search: q });
    if (find) findBar.open(find);
    lines.filtered(session.filter);
  }

  /** Begins to show the environment's log, where the address and the page before a reload say. */
  begin = (): void => {
    const { session, moving, address } = this.parts;
    const { at } = this.asked;
    this.asked.at = "";
    if (at) return void moving.showAround(at);
    moving.around = null; // after one that could not be shown, the address must not ask for it again
    address.show(this.view());
    // A reload goes on where the page was, so that nothing of a flood is passed over.
    void session.start(address.environmentId ?? "", this.resumed ? { after: this.resumed } : {});
    this.resumed = null;
  };

  /** Goes to another environment, and shows all of it. */
  change = (environmentId: string): void => {
    const { session, moving, address } = this.parts;
    address.go(environmentId);
    moving.around = null;
    moving.unfiltered();
    banner(null);
    void session.start(environmentId);
  };

  /** The browser has gone to another of the page's addresses; whether that is another environment's. */
  travelled(): boolean {
    if (!this.parts.address.follow(location.pathname)) return false;
    this.asked = viewOf(location.search);
    this.parts.moving.around = null;
    this.restore();
    return true;
  }

  /** Takes another filter; gives null, or the relay's sentence about what is wrong with it. */
  async apply(wish: Wish): Promise<string | null> {
    const { session, lines, moving, address } = this.parts;
    const leaving = moving.around !== null;
    moving.around = null;
    const sentence = await session.want(wish.filter, wish.attributes);
    if (sentence !== null) return sentence;
    lines.filtered(wish.filter);
    if (leaving) moving.leaveAround();
    else address.show(this.view());
    return null;
  }
}
