/** Shows what the session tells: each of its parts hears of the lines and of the state that concern it. */

import type { StreamState } from "../client/index.js";
import { plain } from "./ansi.js";
import type { Address } from "./address.js";
import type { Appearance } from "./appearance.js";
import { colour } from "./colours.js";
import { byId, say } from "./dom.js";
import type { Drawer } from "./drawer.js";
import type { FilterBar } from "./filterbar.js";
import type { FindBar } from "./findbar.js";
import type { Header } from "./header.js";
import type { Histogram } from "./histogram.js";
import type { Lines } from "./lines.js";
import type { Moving } from "./moving.js";
import { banner } from "./notes.js";
import type { Opening } from "./opening.js";
import type { Session, SessionEvents } from "./session.js";
import type { Summary } from "./summary.js";
import { tellEnded, tellNothing } from "./telling.js";
import { texts } from "./texts.js";

export interface ShowingParts {
  session: Session;
  lines: Lines;
  bar: FilterBar;
  drawer: Drawer;
  findBar: FindBar;
  moving: Moving;
  header: Header;
  summary: Summary;
  histogram: Histogram;
  opening: Opening;
  address: Address;
  appearance: Appearance;
}

export class Showing implements SessionEvents {
  constructor(
    readonly unauthenticated: () => void,
    private readonly parts: ShowingParts,
  ) {}

  grown(regrouped: boolean): void {
    const { session, lines, moving, findBar, summary, histogram, bar } = this.parts;
    if (regrouped) lines.list.refresh();
    lines.list.grown();
    moving.guard();
    findBar.grown();
    summary.grown(session.ring);
    histogram.due();
    moving.newer();
    tellNothing(session, bar, moving.further);
  }

  grownAbove(): void {
    const { session, lines, findBar, histogram, bar, moving } = this.parts;
    lines.list.grownAbove();
    findBar.again();
    histogram.due(0);
    tellNothing(session, bar, moving.further);
  }

  cleared(): void {
    const { session, lines, moving, drawer, findBar, summary, histogram, bar } = this.parts;
    drawer.close();
    lines.cleared();
    findBar.again();
    summary.cleared();
    lines.list.follow(moving.around === null);
    histogram.due(0);
    tellNothing(session, bar, moving.further);
  }

  state(now: StreamState): void {
    const { session, bar, header, moving, opening, appearance } = this.parts;
    header.show();
    const names = now.services.map((service) => service.name);
    colour(names);
    appearance.fit(names);
    bar.serve(now.services);
    bar.unknown(now.filter?.unknownServices ?? []);
    this.entitle(now.environment.name);
    tellNothing(session, bar, moving.further);
    if (now.phase === "closed") tellEnded(now, session, bar, opening);
    else if (now.connected && moving.around === null) banner(null);
  }

  private entitle(said: string | null): void {
    const { opening, address } = this.parts;
    const { environmentId } = address;
    const name = plain(said ?? opening.nameOf(environmentId) ?? environmentId ?? "");
    say(byId("environment-name"), name || texts.header.unnamed);
    document.title = texts.title(name);
  }
}
