/** The menu of services: which are shown, each to be ticked, or to be the only one; with a search where there are many. */

import { plain } from "./ansi.js";
import { hueOf } from "./colours.js";
import { button, byId, el } from "./dom.js";
import { texts } from "./texts.js";

const MANY = 8; // services from which on they can be searched

export interface ServicesMenuSource {
  /** All that are known. */
  names: () => readonly string[];
  /** Those that are shown: none means all. */
  chosen: () => readonly string[];
  /** Loaded lines of each. */
  counts: () => ReadonlyMap<string, number>;
  choose: (names: readonly string[]) => void;
}

export class ServicesMenu {
  private readonly host = byId("services-menu");
  private readonly opener = byId("services");
  private readonly list = el("div", { class: "options" });
  private readonly search = el("input", {
    type: "text",
    class: "wide",
    placeholder: texts.bar.searchServices,
    "aria-label": texts.bar.searchServices,
    autocomplete: "off",
    spellcheck: "false",
    "data-testid": "service-search",
  });

  constructor(private readonly source: ServicesMenuSource) {
    const all = button(texts.bar.allServices, () => this.take([]), { class: "all-services" });
    this.host.replaceChildren(this.search, all, this.list);
    this.search.addEventListener("input", () => this.fill());
    this.opener.addEventListener("click", () => (this.host.hidden ? this.open() : this.close()));
    this.host.addEventListener("keydown", (event) => this.key(event));
    this.host.addEventListener("focusout", ({ relatedTarget }) => {
      if (relatedTarget && !this.holds(relatedTarget as Node)) this.close();
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (!this.holds(target as Node)) this.close();
    });
  }

  /** There are other services than before. */
  changed(): void {
    if (!this.host.hidden) this.fill();
  }

  private holds(node: Node): boolean {
    return this.host.contains(node) || this.opener.contains(node);
  }

  private open(): void {
    this.host.hidden = false;
    this.opener.setAttribute("aria-expanded", "true");
    this.search.value = "";
    this.fill();
    this.fields()[0]?.focus();
  }

  private close(): void {
    this.host.hidden = true;
    this.opener.setAttribute("aria-expanded", "false");
  }

  /** Fills the list anew; whatever had the focus has it afterwards. */
  private fill(): void {
    const { source } = this;
    const names = [...new Set([...source.names(), ...source.chosen()])];
    this.search.hidden = names.length <= MANY;
    const wanted = this.search.hidden ? "" : this.search.value.trim().toLowerCase();
    const shown = names.filter((name) => name.toLowerCase().includes(wanted));
    const focused = this.fields().indexOf(document.activeElement as HTMLElement);
    const counts = source.counts();
    this.list.replaceChildren(...shown.map((name) => this.option(name, counts.get(name) ?? 0)));
    if (focused >= 0 && !this.host.contains(document.activeElement)) this.fields()[focused]?.focus();
  }

  private option(name: string, lines: number): HTMLElement {
    const { bar } = texts;
    const shown = plain(name);
    const chosen = this.source.chosen();
    const box = el("input", { type: "checkbox", "data-testid": "service-option" });
    box.checked = chosen.length === 0 || chosen.includes(name);
    box.addEventListener("change", () => this.pick(name, box.checked));
    const only = button(bar.onlyShort, () => this.take([name]), {
      class: "only",
      "aria-label": bar.onlyThis(shown), // which has what is written on it
      title: bar.only(shown),
    });
    const label = el(
      "label",
      { class: "check" },
      box,
      el("span", { class: `service hue-${hueOf(name)}` }, shown),
    );
    const count = el("span", { class: "count", title: bar.linesHint }, lines ? bar.lines(lines) : "");
    return el("div", { class: "option" }, label, count, only);
  }

  private take(names: readonly string[]): void {
    this.source.choose(names);
    this.fill();
  }

  private pick(name: string, on: boolean): void {
    const { names, chosen, choose } = this.source;
    const before = chosen().length ? chosen() : names();
    const after = on ? [...before, name] : before.filter((other) => other !== name);
    choose(names().every((other) => after.includes(other)) ? [] : after);
  }

  private fields(): HTMLElement[] {
    const fields = [...this.host.querySelectorAll<HTMLElement>("input, button")];
    return fields.filter((field) => !field.hidden);
  }

  private key(event: KeyboardEvent): void {
    const fields = this.fields();
    const at = fields.indexOf(document.activeElement as HTMLElement);
    if (event.key === "Escape") {
      this.close();
      this.opener.focus();
    } else if (event.key === "ArrowDown") fields[Math.min(fields.length - 1, at + 1)]?.focus();
    else if (event.key === "ArrowUp") fields[Math.max(0, at - 1)]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
