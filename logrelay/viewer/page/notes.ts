/** Short sentences of the page beside the lines: a banner, a toast. */

import { byId, el, say } from "./dom.js";

/** A sentence above the lines, with what can be done; null takes it away. */
export function banner(text: string | null, ...actions: Node[]): void {
  const host = byId("banner");
  host.hidden = text === null;
  if (text === null) host.replaceChildren();
  else host.replaceChildren(el("span", {}, text), ...actions);
}

let toastTimer = 0;

/** A sentence for a moment. */
export function toast(text: string): void {
  const host = byId("toast");
  say(host, text);
  host.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => (host.hidden = true), 2500);
}
