/** What the page says about the stream as a whole: why there are no lines, and why none will come any more. */

import type { StreamState } from "../client/index.js";
import { button, byId, el } from "./dom.js";
import type { FilterBar } from "./filterbar.js";
import { banner } from "./notes.js";
import type { Session } from "./session.js";
import { texts } from "./texts.js";

const ASKED = 1000; // the close code of a stream that the page itself has ended
const BAD_PARAMETERS = 4400;
const UNAUTHENTICATED = 4401;

/** What stands where no lines are. */
export function tellNothing(session: Session, bar: FilterBar): void {
  const host = byId("nothing");
  const state = session.state;
  const over = state?.phase === "closed"; // a banner says why
  host.hidden = session.ring.length > 0 || over;
  if (host.hidden) {
    host.dataset["title"] = "";
    return;
  }
  const { list } = texts;
  const [title, hint] = !state?.connected
    ? [list.connecting, ""]
    : bar.empty
      ? [list.waiting, list.waitingHint]
      : [list.nothing, list.nothingHint];
  if (host.dataset["title"] === title) return;
  host.dataset["title"] = title;
  const all = bar.empty
    ? null
    : button(texts.bar.clear, () => bar.clear(), { "data-testid": "nothing-clear" });
  host.replaceChildren(el("p", {}, title), el("p", { class: "hint" }, hint), ...(all ? [all] : []));
}

/** The stream is over for good: why, and what can be done. */
export function tellEnded(
  { close }: StreamState,
  session: Session,
  bar: FilterBar,
  begin: () => Promise<void>,
): void {
  if (!close || close.code === ASKED) return;
  const { code, message, error } = close;
  if (code === BAD_PARAMETERS && error?.code === "filter_invalid") {
    // The address had a filter that the relay doesn't take: the log is shown without it, the sentence in its place.
    session.filter = { ...session.filter, search: "" };
    void session.restart().then(() => bar.wrong(message));
    return;
  }
  const again = button(texts.ended["again"]!, () => void begin(), { "data-testid": "again" });
  const why = code === UNAUTHENTICATED ? texts.signin.atApp : message;
  banner(`${texts.ended[code] ?? texts.ended["other"]!} ${why}`, again);
}
