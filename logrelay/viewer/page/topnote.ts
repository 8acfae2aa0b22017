/** The note above the oldest line: that older ones are on their way, or why there are no more of them. */

import { button, el } from "./dom.js";
import type { Session } from "./session.js";
import { texts } from "./texts.js";

const SAID = 6000; // milliseconds after which what can't be changed has been read, and covers no line any more

/** Shows the note if there is something to say; `again` looks further back where a look has stopped or may begin. */
export function topNote(
  host: HTMLElement,
  session: Session,
  place: "top" | "short" | null,
  again: () => void,
): void {
  const { olderState } = session;
  const text = place ? sentence(session) : "";
  const offered =
    place !== null && (olderState === "stopped" || (place === "short" && olderState === "idle"));
  const said = `${text} ${offered}`;
  // Written only where it is another one: this is called with each scroll, and a button must stay to be pressed.
  if (host.dataset["said"] === said) return;
  host.dataset["said"] = said;
  host.hidden = text === "" && !offered;
  host.classList.toggle("short", place === "short");
  host.replaceChildren(el("span", {}, text));
  if (offered) host.append(" ", button(texts.older.more, again, { "data-testid": "older-again" }));
  if (olderState === "done" || olderState === "full")
    setTimeout(() => host.dataset["said"] === said && (host.hidden = true), SAID);
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
