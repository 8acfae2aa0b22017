/** The filter: services, a lowest severity, and a text with completion. What is wrong with it is said in its place. */

import { plain } from "./ansi.js";
import { Completion } from "./completion.js";
import { button, byId, el, say } from "./dom.js";
import { hueOf } from "./colours.js";
import type { RelayFilter, Service, Severity } from "./model.js";
import { ServicesMenu } from "./servicesmenu.js";
import { attributeTerm, faultPlace, quoted, typed, type AttributeTerm } from "./query.js";
import { texts } from "./texts.js";

const SETTLE = 350; // milliseconds after the last key, when what was typed is taken as meant

export interface Wish {
  filter: RelayFilter;
  attributes: readonly AttributeTerm[];
}

export class FilterBar {
  readonly input = byId("query") as HTMLInputElement;
  private readonly level = byId("level") as HTMLSelectElement;
  private readonly servicesButton = byId("services") as HTMLButtonElement;
  private readonly menu: ServicesMenu;
  private readonly completion: Completion;
  private readonly chips = byId("chips");
  private readonly fault = byId("fault");
  private chosen: string[] = [];
  private known: Service[] = [];
  private told = ""; // the services as the relay last named them
  private timer = 0;
  private last = "";

  constructor(
    private readonly apply: (wish: Wish) => Promise<string | null>,
    counts: () => ReadonlyMap<string, number>,
  ) {
    this.completion = new Completion(
      this.input,
      () => this.known,
      ({ service, level }) => {
        if (level) this.level.value = level;
        if (service && !this.chosen.includes(service)) this.chosen.push(service);
        this.now();
      },
      () => this.soon(),
    );
    this.menu = new ServicesMenu({
      names: () => this.names,
      chosen: () => this.chosen,
      counts,
      choose: (names) => this.choose(names),
    });
    this.input.addEventListener("input", () => {
      this.completion.offer();
      this.soon();
    });
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.level.addEventListener("change", () => this.now());
    byId("clear-filter").addEventListener("click", () => this.clear());
  }

  /** Shows a filter without asking for it. */
  set(filter: RelayFilter): void {
    this.chosen = [...filter.services];
    this.level.value = filter.severity ?? "";
    this.input.value = filter.search;
    this.last = JSON.stringify(this.wish());
    this.wrong(null); // what was said of the filter before
    this.showChips();
  }

  wish(): Wish {
    const { search, services, severity, attributes } = typed(this.input.value);
    return {
      filter: {
        services: [...new Set([...this.chosen, ...services])],
        search,
        severity: severity ?? ((this.level.value || null) as Severity),
      },
      attributes,
    };
  }

  serve(services: readonly Service[]): void {
    const text = JSON.stringify(services);
    if (text === this.told) return;
    this.told = text;
    this.known = [...services].sort((one, other) => one.name.localeCompare(other.name));
    this.menu.changed();
  }

  /** Adds or takes away a word of the text. */
  add(value: string, absent = false): void {
    const term = `${absent ? "-" : ""}${quoted(value)}`;
    this.input.value = `${this.input.value.trimEnd()} ${term}`.trim();
    this.now();
  }

  addAttribute(term: AttributeTerm): void {
    const text = attributeTerm(term);
    if (!this.input.value.includes(text)) this.input.value = `${this.input.value.trimEnd()} ${text}`.trim();
    this.now();
  }

  only(service: string): void {
    this.choose([service]);
  }

  /** All that are known but this one; what has no name yet can't be left out. */
  hide(service: string): void {
    const names = this.chosen.length ? this.chosen : this.names;
    this.choose(names.filter((name) => name !== service));
  }

  everything(): void {
    this.choose([]);
  }

  clear(): void {
    this.chosen = [];
    this.input.value = "";
    this.level.value = "";
    this.now();
  }

  get empty(): boolean {
    return this.chosen.length === 0 && this.input.value.trim() === "" && this.level.value === "";
  }

  private get names(): string[] {
    return this.known.map(({ name }) => name);
  }

  private choose(names: readonly string[]): void {
    this.chosen = [...names];
    this.now();
  }

  unknown(names: readonly string[]): void {
    if (names.length && this.fault.hidden) this.say(texts.bar.unknown(plain(names.join(", "))), "hint");
  }

  /** The relay's sentence, with the part of the text that it is about marked. */
  wrong(sentence: string | null): void {
    this.input.setAttribute("aria-invalid", String(sentence !== null));
    this.input.classList.toggle("wrong", sentence !== null);
    if (sentence === null) {
      this.fault.hidden = true;
      this.fault.replaceChildren();
      return;
    }
    this.say(sentence.replace(/^search: /, ""), "error");
    const place = faultPlace(sentence);
    if (place === null || place > this.input.value.length) return;
    const text = this.input.value;
    const end = place + Math.max(1, /^\S*/.exec(text.slice(place))![0].length);
    this.fault.append(
      el(
        "span",
        { class: "where" },
        text.slice(Math.max(0, place - 24), place),
        el("mark", { class: "fault-mark" }, text.slice(place, end) || " "),
        text.slice(end, end + 24),
      ),
    );
  }

  private say(sentence: string, kind: string): void {
    this.fault.hidden = false;
    this.fault.className = `fault ${kind}`;
    this.fault.replaceChildren(el("span", {}, sentence));
  }

  private soon(): void {
    clearTimeout(this.timer);
    // While a name is still being chosen, what stands there means nothing, and the lines stay.
    this.timer = window.setTimeout(() => this.completion.unfinished || this.now(), SETTLE);
  }

  private now(): void {
    clearTimeout(this.timer);
    this.showChips();
    const wish = this.wish();
    const text = JSON.stringify(wish);
    if (text === this.last) return;
    this.last = text;
    void this.apply(wish).then((sentence) => {
      if (this.last === text) this.wrong(sentence);
    });
  }

  private showChips(): void {
    const { bar } = texts;
    const wish = this.wish();
    const hidden = hiddenOf(this.names, this.chosen);
    const made = hidden.length
      ? hidden.map((name) => this.hiddenChip(name))
      : this.chosen.map((name) => this.chosenChip(name));
    for (const term of wish.attributes) {
      const label = bar.attribute(term.path, term.value, term.absent);
      const made1 = chip(label, "chip attribute", () => {
        this.input.value = this.input.value.replace(attributeTerm(term), "").replace(/ {2,}/g, " ").trim();
        this.now();
      });
      made1.title = bar.attributeHint;
      made.push(made1);
    }
    byId("clear-filter").hidden = this.empty;
    this.chips.replaceChildren(...made);
    this.chips.hidden = made.length === 0;
    const count = this.chosen.length;
    const one = count === 1 ? this.chosen[0]! : bar.servicesChosen(count);
    const shown = hidden.length ? bar.allBut(hidden) : count === 0 ? bar.allServices : one;
    say(byId("services-label"), plain(shown));
    this.level.classList.toggle("set", this.level.value !== "");
    this.servicesButton.classList.toggle("set", count > 0);
  }

  private chosenChip(name: string): HTMLElement {
    const others = this.chosen.filter((other) => other !== name);
    return chip(name, `chip hue-${hueOf(name)}`, () => this.choose(others));
  }

  /** Stands for a service that is left out; without it, the service is shown again. */
  private hiddenChip(name: string): HTMLElement {
    const shown = [...this.chosen, name];
    const all = this.names.every((other) => shown.includes(other));
    const made = chip(texts.bar.without(name), "chip without", () => this.choose(all ? [] : shown));
    made.title = texts.bar.withoutHint;
    return made;
  }

  private key(event: KeyboardEvent): void {
    if (!this.completion.key(event)) {
      if (event.key === "Enter") this.now();
      else if (event.key === "Escape") byId("lines").focus();
      else return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

/** The services that are left out, where they are easier to name than those that are shown. */
export function hiddenOf(known: readonly string[], chosen: readonly string[]): string[] {
  if (chosen.length === 0 || chosen.some((name) => !known.includes(name))) return [];
  const hidden = known.filter((name) => !chosen.includes(name));
  return hidden.length < chosen.length ? hidden : [];
}

function chip(label: string, kind: string, remove: () => void): HTMLElement {
  const shown = plain(label);
  const cross = button("×", remove, { "aria-label": texts.bar.remove(shown) });
  return el(
    "span",
    { class: kind, "data-testid": "chip" },
    el("span", { class: "chip-label" }, shown),
    cross,
  );
}
