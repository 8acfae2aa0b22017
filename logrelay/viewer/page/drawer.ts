/** One line in full: its message, when and where from, its attributes as a list with what can be done with each. */

import { flattened } from "./flat.js";
import { appendText, bytes, type Look } from "./row.js";
import { button, byId, COPY, el, icon } from "./dom.js";
import { hueOf } from "./colours.js";
import type { Entry } from "./ring.js";
import { texts } from "./texts.js";
import { stamp } from "./time.js";
import { askable, valueText } from "./query.js";
import { plain } from "./ansi.js";

export interface DrawerActions {
  copy(text: string, what?: string): void;
  // The entry and not its number, which may be another's when so much has come that this one is not held any more.
  copyLine(entry: Entry): void;
  copyJson(entry: Entry): void;
  link(entry: Entry): void;
  around(entry: Entry): void;
  filter(path: string, value: string, absent: boolean): void;
  only(service: string): void;
  step(by: 1 | -1): void;
  closed(): void;
}

export class Drawer {
  private readonly host = byId("drawer");
  number: number | null = null;

  constructor(private readonly actions: DrawerActions) {
    this.host.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
  }

  get open(): boolean {
    return !this.host.hidden;
  }

  show(entry: Entry, look: Look): void {
    this.number = entry.number;
    this.host.hidden = false;
    const top = this.host.scrollTop;
    this.host.replaceChildren(
      this.bar(entry),
      this.message(entry, look),
      this.fields(entry, look),
      this.attributes(entry),
    );
    this.host.scrollTop = top;
  }

  close(): void {
    if (this.host.hidden) return;
    this.host.hidden = true;
    this.host.replaceChildren();
    this.number = null;
    this.actions.closed();
  }

  private bar(entry: Entry): HTMLElement {
    const { drawer } = texts;
    const actions = this.actions;
    const level = entry.severity ?? "none";
    return el(
      "div",
      { class: "drawer-bar" },
      el(
        "h2",
        { class: `drawer-title level-${level}` },
        `${texts.list.severities[level]} ${plain(entry.service)}`,
      ),
      el("span", { class: "grow" }),
      button("↑", () => actions.step(-1), {
        "aria-label": drawer.previous,
        title: drawer.previous,
        class: "quiet-button",
      }),
      button("↓", () => actions.step(1), {
        "aria-label": drawer.next,
        title: drawer.next,
        class: "quiet-button",
      }),
      button("×", () => this.close(), {
        "aria-label": drawer.close,
        title: drawer.close,
        class: "quiet-button close",
        "data-testid": "drawer-close",
      }),
      el("span", { class: "break" }),
      button(drawer.copyLine, () => actions.copyLine(entry), { "data-testid": "copy-line" }),
      button(drawer.copyJson, () => actions.copyJson(entry), { "data-testid": "copy-json" }),
      button(drawer.permalink, () => actions.link(entry), { "data-testid": "copy-link" }),
      button(drawer.around, () => actions.around(entry), { "data-testid": "show-around" }),
    );
  }

  private message(entry: Entry, look: Look): HTMLElement {
    const text = el("pre", {
      class: `whole sev-${entry.severity ?? "none"}`,
      "data-testid": "drawer-message",
      tabindex: 0,
    });
    appendText(text, entry.message, look);
    if (text.textContent === "") text.append(el("i", { class: "quiet" }, texts.list.empty));
    return text;
  }

  private fields(entry: Entry, look: Look): HTMLElement {
    const { fields } = texts.drawer;
    const list = el("dl", { class: "fields" });
    const add = (name: string, value: string | HTMLElement, text = ""): void => {
      const copied = typeof value === "string" ? value : text;
      list.append(el("dt", {}, name), el("dd", {}, value, this.copyButton(name, copied)));
    };
    const full = { ...look.settings, clock: "full" as const, nanoseconds: true };
    add(fields.time, stamp(entry.time, entry.id, full, look.now));
    if (look.settings.zone !== "UTC") add(fields.utc, entry.id.slice(0, 30));
    add(fields.severity, entry.severity ?? texts.list.noSeverity);
    const service = button(plain(entry.service) || "–", () => this.actions.only(entry.service), {
      class: `service hue-${hueOf(entry.service)}`,
      title: texts.bar.only(plain(entry.service)),
    });
    add(fields.service, service, entry.service);
    if (entry.deploymentId) add(fields.deployment, entry.deploymentId);
    if (entry.instanceId) add(fields.instance, entry.instanceId);
    add(fields.id, entry.id);
    const marks = [
      entry.late ? texts.list.lateHint : "",
      entry.truncated ? texts.list.truncatedHint(bytes(entry.size)) : "",
      entry.redacted ? texts.list.redactedHint(entry.redacted) : "",
    ].filter(Boolean);
    if (marks.length) list.append(el("dt", {}, fields.marks), el("dd", {}, marks.join("; ")));
    return list;
  }

  private attributes(entry: Entry): HTMLElement {
    const { drawer } = texts;
    const list = el("dl", { class: "fields attributes-list", "data-testid": "attributes" });
    const flat = entry.attributes ? flattened(JSON.parse(entry.attributes)) : [];
    for (const [path, value] of flat) {
      const text = valueText(value);
      const name = plain(path) || '""';
      const kind = value === null ? "null" : typeof value;
      list.append(
        el("dt", { title: name }, name),
        el(
          "dd",
          {},
          el("span", { class: `value value-${kind}` }, plain(text)),
          el(
            "span",
            { class: "value-actions" },
            ...(askable(path) ? this.filters(name, path, text) : []),
            this.copyButton(name, text),
          ),
        ),
      );
    }
    const none = el("p", { class: "hint" }, drawer.noAttributes);
    return el("section", {}, el("h2", {}, drawer.attributes), flat.length ? list : none);
  }

  private filters(name: string, path: string, text: string): HTMLElement[] {
    const { filterBy, filterOut } = texts.drawer;
    const { filter } = this.actions;
    return [
      this.small("=", filterBy(name), () => filter(path, text, false), "attribute-filter"),
      this.small("≠", filterOut(name), () => filter(path, text, true), "attribute-exclude"),
    ];
  }

  private copyButton(name: string, text: string): HTMLElement {
    const made = this.small("", texts.drawer.copyValue(name), () => this.actions.copy(text), "copy-value");
    made.append(icon(COPY));
    return made;
  }

  private small(label: string, name: string, press: () => void, testid: string): HTMLElement {
    return button(label, press, { class: "small", "aria-label": name, title: name, "data-testid": testid });
  }
}
