/** What each key does. The sheet that explains them is made from the same table. */

import { button, byId, el } from "./dom.js";
import { texts } from "./texts.js";

export interface Key {
  keys: readonly string[]; // as KeyboardEvent.key has them; "Shift+" where it counts
  name: string; // of its text
  group: keyof typeof texts.keys.groups;
  act: () => void;
}

const SHOWN: Record<string, string> = {
  ArrowDown: "↓",
  ArrowUp: "↑",
  " ": texts.keys.space,
  Escape: "Esc",
  Enter: "Enter",
  "Shift+ArrowDown": "Shift ↓",
  "Shift+ArrowUp": "Shift ↑",
};

export class Keys {
  private readonly byKey = new Map<string, Key>();

  constructor(private readonly table: readonly Key[]) {
    for (const key of table) for (const name of key.keys) this.byKey.set(name, key);
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  private pressed(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.ctrlKey || event.metaKey) {
      this.copied(event);
      return;
    }
    const target = event.target as HTMLElement;
    if (target.matches("input:not([type=checkbox]), textarea, select")) return;
    // Buttons keep what buttons do with Enter and the space bar.
    if (target.matches("button, a, summary, input") && (event.key === "Enter" || event.key === " ")) return;
    const arrow = event.shiftKey && event.key.startsWith("Arrow");
    const key = this.byKey.get(arrow ? `Shift+${event.key}` : event.key);
    if (!key) return;
    event.preventDefault();
    key.act();
  }

  /** Ctrl+C copies the selected lines, unless text is selected. */
  private copied(event: KeyboardEvent): void {
    if (event.key !== "c" || !document.getSelection()?.isCollapsed) return;
    const target = event.target as HTMLElement;
    if (target.matches("input, textarea")) return;
    this.byKey.get("c")?.act();
  }

  sheet(): void {
    const dialog = byId("sheet") as HTMLDialogElement;
    const { keys } = texts;
    const language = el("dl", { class: "language" });
    for (const [example, meaning] of texts.language.terms)
      language.append(el("dt", {}, el("code", {}, example)), el("dd", {}, meaning));
    const groups = Object.entries(keys.groups).map(([group, title]) => {
      const list = el("dl", { class: "keys" });
      for (const key of this.table.filter((entry) => entry.group === group)) {
        const caps = key.keys.map((name) => el("kbd", {}, SHOWN[name] ?? name));
        list.append(el("dt", {}, ...caps), el("dd", {}, keys.names[key.name] ?? key.name));
      }
      return el("section", {}, el("h3", {}, title), list);
    });
    // What scrolls is the text and not the sheet, so that it begins at its beginning with the button at hand.
    const close = button(keys.close, () => dialog.close(), { class: "primary", autofocus: true });
    dialog.replaceChildren(
      el("h2", { id: "sheet-title" }, keys.title),
      el(
        "div",
        { class: "sheet-text", tabindex: 0, role: "region", "aria-labelledby": "sheet-title" },
        el("section", {}, el("h3", {}, texts.language.title), language),
        el("div", { class: "key-groups" }, ...groups),
      ),
      el("div", { class: "buttons" }, close),
    );
    dialog.showModal();
  }
}
