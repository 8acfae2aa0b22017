/** What the page says about the stream as a whole: why there are no lines, and why none will come any more. */

import type { StreamState } from "../client/index.js";
import { button, byId, el } from "./dom.js";
import type { FilterBar } from "./filterbar.js";
import type { RelayFilter } from "./model.js";
import { banner } from "./notes.js";
import type { Opening } from "./opening.js";
import type { Session } from "./session.js";
import { texts } from "./texts.js";

const ASKED = 1000; // the close code of a stream that the page itself has ended
const BAD_PARAMETERS = 4400;
const UNAUTHENTICATED = 4401;
const REFUSED = [4403, 4404]; // this environment, to this reader; another one of either may do

/** What stands where no lines are; `back` looks further back than the relay has looked by itself. */
export function tellNothing(session: Session, bar: FilterBar, back: () => void): void {
  const host = byId("nothing");
  const state = session.state;
  const over = state?.phase === "closed"; // a banner says why
  const hidden = session.ring.length > 0 || over;
  if (hidden && host.hidden) return; // as with nearly every batch that comes
  host.hidden = hidden;
  if (hidden) {
    host.dataset["title"] = "";
    return;
  }
  const { list } = texts;
  const [title, hint] = !state?.connected
    ? unreached(state)
    : bar.empty
      ? [list.waiting, list.waitingHint]
      : [list.nothing, list.nothingHint];
  if (host.dataset["title"] === title + hint) return;
  host.dataset["title"] = title + hint;
  const all = bar.empty
    ? null
    : button(texts.bar.clear, () => bar.clear(), { "data-testid": "nothing-clear" });
  const further =
    all && state?.connected ? button(texts.older.more, back, { "data-testid": "nothing-older" }) : null;
  const choices = el("div", { class: "choices" }, all, further);
  host.replaceChildren(el("p", {}, title), el("p", { class: "hint" }, hint), choices);
}

/** Why there is no connection, where that is known: the relay is tried again all the same. */
function unreached(state: StreamState | null): [title: string, hint: string] {
  if (!state?.close) return [texts.list.connecting, ""];
  const { code, message, error } = state.close;
  return [texts.ended[code] ?? texts.picker.unreachable, error ? sentence(message) : texts.list.triedAgain];
}

/** The stream is over for good: why, and what can be done. */
export function tellEnded({ close }: StreamState, session: Session, bar: FilterBar, opening: Opening): void {
  if (!close || close.code === ASKED) return;
  const { code, message, error } = close;
  const less = error?.code === "filter_invalid" ? without(session.filter, message) : null;
  if (code === BAD_PARAMETERS && less) {
    // The address had a filter that the relay doesn't take: the log is shown without it, the sentence in its place.
    session.filter = less;
    void session.restart().then(() => bar.wrong(message));
    return;
  }
  const again = button(texts.ended["again"]!, () => void opening.begin(), { "data-testid": "again" });
  banner(endedText(code, message), again, ...opening.otherWays(REFUSED.includes(code)));
}

/** A filter without what a relay's sentence is about; null where nothing is left that could be wrong. Pure. */
export function without(filter: RelayFilter, sentence: string): RelayFilter | null {
  if (filter.search && sentence.startsWith("search:")) return { ...filter, search: "" };
  const empty = filter.services.length === 0 && !filter.search && filter.severity === null;
  return empty ? null : { services: [], search: "", severity: null };
}

/** Why a stream has ended: in the page's words, and in the relay's where those say more. Pure. */
export function endedText(code: number, message: string): string {
  const own = texts.ended[code] ?? texts.ended["other"]!;
  if (REFUSED.includes(code)) return own;
  const more = code === UNAUTHENTICATED ? texts.signin.atApp : message;
  return more ? `${own} ${sentence(more)}` : own;
}

/** The relay's words as a sentence. */
function sentence(words: string): string {
  return words ? `${words[0]!.toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}` : "";
}
