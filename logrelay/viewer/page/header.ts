/** The header: which environment, and at a glance whether it is live, quiet or broken. */

import type { Session } from "./session.js";
import { connectionPanel } from "./connection.js";
import { byId, say } from "./dom.js";
import { Holes } from "./holes.js";
import { ago, statusOf, type Status } from "./status.js";
import { texts } from "./texts.js";
import { span } from "./time.js";

const PERIOD = 500; // milliseconds between two looks: seconds are counted down

export class Header {
  private readonly pill = byId("state");
  private readonly retry = byId("reconnect");
  private readonly label = byId("state-label");
  private readonly facts = {
    freshness: byId("freshness"),
    rate: byId("rate"),
    lag: byId("lag"),
    viewers: byId("viewers"),
  };
  private readonly holes: Holes;
  private readonly mark = byId("holes");
  private readonly spoken = byId("spoken-state");
  private said = "";

  constructor(
    private readonly session: Session,
    hole: (number: number) => void,
  ) {
    this.holes = new Holes(session.ring);
    const open = (): void => {
      const dialog = connectionPanel(session, this.holes, () => this.status(), hole);
      dialog.addEventListener("close", () => this.told(), { once: true });
    };
    this.pill.addEventListener("click", open);
    this.mark.addEventListener("click", open);
    this.retry.addEventListener("click", () => session.reconnect());
    setInterval(() => this.show(), PERIOD);
  }

  show(): void {
    const { session, facts } = this;
    const state = session.state;
    const now = Date.now();
    const newest = session.newest;
    const status = this.status();
    this.pill.dataset["tone"] = status.tone;
    this.pill.title = status.hint;
    this.retry.hidden = !state || state.retryAt === null;
    say(this.label, status.label);
    this.announce(status.tone, status.label);
    fact(this.mark, this.holes.count ? texts.header.holes(this.holes.count) : "");
    const frame = state?.upstream?.lastFrameAt ? Date.parse(state.upstream.lastFrameAt) : null;
    const fresh = Math.max(frame ?? 0, newest ?? 0);
    fact(facts.freshness, fresh && state?.connected ? texts.header.freshness(ago(now - fresh)) : "");
    fact(facts.rate, state?.connected ? texts.header.rate(session.rate) : "");
    fact(facts.lag, session.rate > 0 && session.lag !== null ? texts.header.lag(span(session.lag)) : "");
    fact(facts.viewers, state?.connected && state.viewers ? texts.header.viewers(state.viewers) : "");
  }

  private status(): Status {
    const { state, held, newest } = this.session;
    const now = Date.now();
    return statusOf(state, newest, now, held, state !== null && this.holes.fresh(state.phase, now));
  }

  private told(): void {
    this.holes.told();
    this.show();
  }

  /** Says a change of kind aloud, once; the seconds of a countdown are not read out. */
  private announce(tone: string, label: string): void {
    const kind = `${tone} ${label.replace(/[\d.,]+( ?(ms|s|min|h|d))?/g, "")}`;
    if (kind === this.said) return;
    this.said = kind;
    say(this.spoken, label);
  }
}

function fact(element: HTMLElement, text: string): void {
  element.hidden = text === "";
  say(element, text);
}
