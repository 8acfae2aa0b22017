/** The note above the oldest line: that older ones are on their way, or why there are no more of them. */

import { button, el } from "./dom.js";
import type { Session } from "./session.js";
import { texts } from "./texts.js";

/** Shows the note if there is something to say; `again` looks further back where a look has stopped on its way. */
export function topNote(host: HTMLElement, session: Session, shown: boolean, again: () => void): void {
  const text = shown ? sentence(session) : "";
  host.hidden = text === "";
  // Written only where it is another one: this is called with each scroll, and a button must stay to be pressed.
  if (host.dataset["said"] === text) return;
  host.dataset["said"] = text;
  host.replaceChildren(el("span", {}, text));
  if (session.olderState === "stopped" && text !== "") {
    host.append(" ", button(texts.older.more, again, { "data-testid": "older-again" }));
  }
}

function sentence({ olderState, olderReason }: Session): string {
  const { list } = texts;
  switch (olderState) {
    case "idle":
      return "";
    case "loading":
      return list.loadingOlder;
    case "full":
      return list.fullOlder;
    case "done":
      return olderReason === "retention" ? list.keptOlder : list.noOlder;
    case "stopped":
      return olderReason === "outage" ? list.outageOlder : list.limitOlder;
  }
}
