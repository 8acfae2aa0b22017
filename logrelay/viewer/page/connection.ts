/** "Is it quiet or broken?", answered in full: both connections, the newest line, the page's own delay. */

import type { StreamState } from "../client/index.js";
import { button, byId, el } from "./dom.js";
import { HOLES, type Holes } from "./holes.js";
import { closePanel, openPanel } from "./panels.js";
import type { Session } from "./session.js";
import { LIMIT } from "./ring.js";
import { ago, type Status } from "./status.js";
import { count, texts } from "./texts.js";
import { span } from "./time.js";

const PERIOD = 500; // milliseconds between two looks while the panel is open

/** What is known of the connections, as names and values for people. Pure. */
export function factsOf(
  state: StreamState,
  page: { held: number; holes: number; newest: number | null; lag: number | null; rate: number },
  now: number,
): [name: string, value: string][] {
  const { connection: words } = texts;
  const facts: [string, string][] = [[words.relay, relayFact(state, now)]];
  if (state.upstream) facts.push([words.railway, railwayFact(state.upstream, now)]);
  const logged = Math.max(page.newest ?? 0, state.lastLogAt ? Date.parse(state.lastLogAt) : 0);
  if (logged) facts.push([words.newest, ago(now - logged)]);
  facts.push([words.rate, words.perSecond(page.rate)]);
  if (page.lag !== null) facts.push([words.lag, words.delay(span(page.lag), state.lag.entries)]);
  if (state.viewers !== null) {
    facts.push([words.viewers, words.viewersOf(state.viewers, state.limits?.maxConnections ?? null)]);
  }
  facts.push([words.held, `${count(page.held)} / ${count(LIMIT)}`]);
  if (page.holes) facts.push([words.missing, words.missingIn(page.holes)]);
  if (state.version) facts.push([words.version, state.version]);
  return facts;
}

function relayFact(state: StreamState, now: number): string {
  const { connection: words } = texts;
  const since = span(now - state.since).replace(/\.\d/, "");
  if (state.connected) return words.connected;
  const why = state.close?.message ?? "";
  if (state.phase === "closed") return words.over(why);
  const wait = state.retryAt === null ? null : Math.max(0, Math.ceil((state.retryAt - now) / 1000));
  return state.close ? words.lost(since, Math.max(1, state.attempt), wait, why) : words.connecting(since);
}

function railwayFact(upstream: NonNullable<StreamState["upstream"]>, now: number): string {
  const { connection: words } = texts;
  const at = upstream.lastFrameAt ? Date.parse(upstream.lastFrameAt) : null;
  const frame = at === null ? "" : words.frame(ago(now - at));
  if (upstream.state === "live") return words.upstreamLive(frame);
  const retryAt = upstream.retryAt ? Date.parse(upstream.retryAt) : null;
  const wait = retryAt === null ? null : Math.max(0, Math.ceil((retryAt - now) / 1000));
  return words.upstream(
    texts.connection.states[upstream.state] ?? upstream.state,
    upstream.attempt ?? null,
    wait,
    frame,
  );
}

/** Opens the panel; `hole` goes to the newest ruler that says that lines are missing. */
export function connectionPanel(
  session: Session,
  holes: Holes,
  statusNow: () => Status,
  hole: (number: number) => void,
): HTMLDialogElement {
  const list = el("dl", { class: "fields connection", "data-testid": "connection" });
  const hint = el("p", { class: "connection-hint", "data-testid": "connection-hint" });
  const title = el("span", {});
  const now = button(texts.header.now, () => session.reconnect(), { "data-testid": "connection-now" });
  const seek = button(
    texts.connection.hole,
    () => {
      const number = session.ring.noticed(HOLES);
      closePanel();
      if (number !== null) hole(number);
    },
    { "data-testid": "connection-hole" },
  );
  const close = button(texts.keys.close, closePanel, { class: "primary", "data-testid": "panel-close" });
  const dialog = openPanel("", hint, list, el("div", { class: "buttons" }, now, seek, close));
  byId("panel-title").append(title);
  const show = (): void => {
    const { state, ring } = session;
    const status = statusNow();
    title.textContent = status.label;
    title.className = `tone-${status.tone}`;
    hint.textContent = status.hint;
    now.hidden = !state || state.retryAt === null;
    seek.hidden = ring.noticed(HOLES) === null;
    if (!state) return;
    const { newest, lag, rate } = session;
    const page = { held: ring.length, holes: holes.count, newest, lag, rate };
    const rows = factsOf(state, page, Date.now()).flatMap(([name, value]) => [
      el("dt", {}, name),
      el("dd", {}, value),
    ]);
    list.replaceChildren(...rows);
  };
  show();
  const timer = setInterval(show, PERIOD);
  dialog.addEventListener("close", () => clearInterval(timer), { once: true });
  close.focus();
  return dialog;
}
