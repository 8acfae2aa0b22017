/** Completion of the filter's text: names of services and levels below the field, chosen by keys or by a click. */

import { byId, el } from "./dom.js";
import type { Service } from "./model.js";
import { quoted } from "./query.js";
import { texts } from "./texts.js";

const MOST = 8; // names that are offered at once

export interface Chosen {
  service?: string;
  level?: string;
}

export class Completion {
  private readonly host = byId("completions");
  private active = -1;

  /** `chosen` takes what is complete, which is taken out of the text before. */
  constructor(
    private readonly input: HTMLInputElement,
    private readonly services: () => readonly Service[],
    private readonly chosen: (choice: Chosen) => void,
  ) {
    input.addEventListener("focus", () => this.offer());
    input.addEventListener("blur", () => this.show(false));
    this.host.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the field keeps the focus
      const option = (event.target as Element).closest<HTMLElement>("[data-insert]");
      if (option) this.insert(option.dataset["insert"]!);
    });
  }

  offer(): void {
    const word = this.word();
    const options = word.startsWith("@") ? this.options(word) : [];
    this.active = options.length ? 0 : -1;
    this.host.replaceChildren(...options.map(([insert, hint], index) => this.option(insert, hint, index)));
    this.show(options.length > 0);
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
    } else if (event.key === "Enter" || event.key === "Tab")
      this.insert(options[this.active]!.dataset["insert"]!);
    else if (event.key === "Escape") this.show(false);
    else return false;
    return true;
  }

  private option(insert: string, hint: string, index: number): HTMLElement {
    return el(
      "li",
      {
        id: `completion-${index}`,
        role: "option",
        "aria-selected": String(index === 0),
        "data-insert": insert,
        "data-testid": "completion",
      },
      el("b", {}, insert),
      el("span", {}, hint),
    );
  }

  private options(word: string): [string, string][] {
    const { bar } = texts;
    const [name = "", value] = word.slice(1).split(":", 2);
    if (value === undefined) {
      const names: [string, string][] = [
        ["@service:", bar.services],
        ["@level:", bar.severity],
      ];
      return names.filter(([option]) => option.startsWith(`@${name}`));
    }
    const wanted = value.toLowerCase().replace(/"/g, "");
    if (name === "level") {
      const levels = ["debug", "info", "warn", "error"].filter((level) => level.startsWith(wanted));
      return levels.map((level) => [`@level:${level}`, bar.completeLevel]);
    }
    if (name !== "service") return [];
    const names = this.services().map((service) => service.name);
    const found = names.filter((service) => fuzzy(service, wanted)).slice(0, MOST);
    return found.map((service) => [`@service:${quoted(service)}`, bar.completeService]);
  }

  /** The word that is being typed. */
  private word(): string {
    const upTo = this.input.value.slice(0, this.input.selectionStart ?? 0);
    return /(\S*)$/.exec(upTo)![1]!;
  }

  private insert(text: string): void {
    const at = this.input.selectionStart ?? 0;
    const start = at - this.word().length;
    const service = /^@service:(.+)$/.exec(text)?.[1]?.replace(/^"|"$/g, "");
    const level = /^@level:(.+)$/.exec(text)?.[1];
    // What is complete becomes a choice of its own, so that the text stays what is searched for.
    const kept = service || level ? "" : text;
    this.input.value = this.input.value.slice(0, start) + kept + this.input.value.slice(at);
    this.input.setSelectionRange(start + kept.length, start + kept.length);
    if (kept) return this.offer();
    this.show(false);
    this.chosen(service ? { service } : { level: level! });
  }

  private show(open: boolean): void {
    this.host.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    if (open) this.input.setAttribute("aria-activedescendant", `completion-${this.active}`);
    else this.input.removeAttribute("aria-activedescendant");
  }
}

/** Whether all letters occur in this order. */
function fuzzy(text: string, wanted: string): boolean {
  let at = 0;
  for (const letter of text.toLowerCase()) if (letter === wanted[at]) at += 1;
  return at >= wanted.length;
}
