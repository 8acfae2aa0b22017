/** Completion of the filter's text: names of services and levels below the field, chosen by keys or by a click. */

import { plain } from "./ansi.js";
import { byId, el } from "./dom.js";
import { ranked, type Match } from "./match.js";
import type { Service } from "./model.js";
import { quoted } from "./query.js";
import { texts } from "./texts.js";

const MOST = 8; // names that are offered at once
const LEVELS = ["debug", "info", "warn", "error"];

export interface Chosen {
  service?: string;
  level?: string;
}

/** What can be chosen: its text, how it is shown, what is said of it, and what it means once it is complete. */
interface Option {
  text: string;
  choice: Chosen | null;
  shown: (Node | string)[];
  hint: string;
}

export class Completion {
  private readonly host = byId("completions");
  private offered: Option[] = [];
  private active = -1;

  /**
   * `chosen` takes what is complete, which is taken out of the text before; `left` hears that what is typed stays as
   * it is, without a choice.
   */
  constructor(
    private readonly input: HTMLInputElement,
    private readonly services: () => readonly Service[],
    private readonly chosen: (choice: Chosen) => void,
    private readonly left: () => void,
  ) {
    input.addEventListener("focus", () => this.offer());
    input.addEventListener("blur", () => this.leave());
    this.host.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the field keeps the focus
      const option = (event.target as Element).closest("[role=option]");
      if (option) this.insert([...this.host.children].indexOf(option));
    });
  }

  offer(): void {
    const word = this.word();
    this.offered = word.startsWith("@") ? this.options(word) : [];
    this.active = this.offered.length ? 0 : -1;
    this.host.replaceChildren(...this.offered.map((option, index) => this.option(option, index)));
    this.show(this.offered.length > 0);
  }

  /** Whether the word that is being typed is an operator or a name to be chosen, and not complete yet. */
  get unfinished(): boolean {
    const word = this.word();
    if (/^-?@[\w.[\]-]*:?$/.test(word)) return document.activeElement === this.input;
    const whole = word.toLowerCase();
    return !this.host.hidden && !this.offered.some(({ text }) => text.toLowerCase() === whole);
  }

  /** Whether a key was for the completions. */
  key(event: KeyboardEvent): boolean {
    if (this.host.hidden) return false;
    const options = [...this.host.children] as HTMLElement[];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : options.length - 1;
      this.active = (this.active + step) % options.length;
      for (const [index, option] of options.entries()) {
        option.setAttribute("aria-selected", String(index === this.active));
      }
      this.show(true);
    } else if (event.key === "Enter" || event.key === "Tab") this.insert(this.active);
    else if (event.key === "Escape") this.leave();
    else return false;
    return true;
  }

  private option({ text, shown, hint }: Option, index: number): HTMLElement {
    return el(
      "li",
      {
        id: `completion-${index}`,
        role: "option",
        "aria-selected": String(index === 0),
        "data-insert": text,
        "data-testid": "completion",
      },
      el("b", {}, ...shown),
      el("span", {}, hint),
    );
  }

  private options(word: string): Option[] {
    const { bar } = texts;
    const [name = "", value] = word.slice(1).split(":", 2);
    if (value === undefined) {
      const names: [string, string][] = [
        ["@service:", bar.services],
        ["@level:", bar.severity],
      ];
      return names
        .filter(([option]) => option.startsWith(`@${name}`))
        .map(([option, hint]) => ({ text: option, choice: null, shown: [option], hint }));
    }
    const typed = value.replace(/"/g, "");
    if (name === "level")
      return ranked(LEVELS, typed, MOST).map((match) => made(name, match, bar.completeLevel));
    if (name !== "service") return [];
    const names = this.services().map((service) => service.name);
    return ranked(names, typed, MOST).map((match) => made(name, match, bar.completeService));
  }

  /** The word that is being typed. */
  private word(): string {
    const upTo = this.input.value.slice(0, this.input.selectionStart ?? 0);
    return /(\S*)$/.exec(upTo)![1]!;
  }

  private insert(index: number): void {
    const { text, choice } = this.offered[index]!;
    const at = this.input.selectionStart ?? 0;
    const start = at - this.word().length;
    // What is complete becomes a choice of its own, so that the text stays what is searched for.
    const kept = choice ? "" : text;
    this.input.value = this.input.value.slice(0, start) + kept + this.input.value.slice(at);
    this.input.setSelectionRange(start + kept.length, start + kept.length);
    if (!choice) return this.offer();
    this.show(false);
    this.chosen(choice);
  }

  private leave(): void {
    this.show(false);
    this.left();
  }

  private show(open: boolean): void {
    this.host.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    if (open) this.input.setAttribute("aria-activedescendant", `completion-${this.active}`);
    else this.input.removeAttribute("aria-activedescendant");
  }
}

/** A value to choose, with the letters that were typed marked in it. */
function made(key: "service" | "level", { name, parts }: Match, hint: string): Option {
  const value = quoted(name);
  const marked = parts.map(({ text, typed }) => (typed ? el("mark", {}, plain(text)) : plain(text)));
  // Quotes stand around the name; where it has quotes of its own, it reads otherwise and nothing is marked.
  const [before, after, rest] = value.split(name);
  const shown = rest === undefined && after !== undefined ? [before!, ...marked, after] : [plain(value)];
  return { text: `@${key}:${value}`, choice: { [key]: name }, shown: [`@${key}:`, ...shown], hint };
}
