/** The menu of services: which are shown, each to be ticked, or to be the only one. */

import { hueOf } from "./colours.js";
import { button, byId, el } from "./dom.js";
import { texts } from "./texts.js";

export class ServicesMenu {
  private readonly host = byId("services-menu");
  private readonly opener = byId("services");

  /** `names` are all that are known, `chosen` those that are shown: none means all. */
  constructor(
    private readonly names: () => readonly string[],
    private readonly chosen: () => readonly string[],
    private readonly choose: (names: readonly string[]) => void,
  ) {
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
    this.fill();
    this.host.querySelector<HTMLElement>("input, button")?.focus();
  }

  private close(): void {
    this.host.hidden = true;
    this.opener.setAttribute("aria-expanded", "false");
  }

  private fill(): void {
    const { bar } = texts;
    const at = this.fields().indexOf(document.activeElement as HTMLElement);
    const names = [...new Set([...this.names(), ...this.chosen()])];
    const all = button(bar.allServices, () => this.take([]), { class: "all-services" });
    this.host.replaceChildren(all, ...names.map((name) => this.option(name)));
    // Whoever was on one of the fields stays there, or the keyboard would be lost with it.
    if (at >= 0) (this.fields()[at] ?? all).focus();
  }

  private fields(): HTMLElement[] {
    return [...this.host.querySelectorAll<HTMLElement>("input, button")];
  }

  private option(name: string): HTMLElement {
    const { bar } = texts;
    const chosen = this.chosen();
    const box = el("input", { type: "checkbox", "data-testid": "service-option" });
    box.checked = chosen.length === 0 || chosen.includes(name);
    box.addEventListener("change", () => this.pick(name, box.checked));
    const only = button(bar.completeService, () => this.take([name]), {
      class: "only",
      "aria-label": bar.onlyThis(name),
    });
    const label = el(
      "label",
      { class: "check" },
      box,
      el("span", { class: `service hue-${hueOf(name)}` }, name),
    );
    return el("div", { class: "option" }, label, only);
  }

  private take(names: readonly string[]): void {
    this.choose(names);
    this.fill();
  }

  private pick(name: string, on: boolean): void {
    const before = this.chosen().length ? this.chosen() : this.names();
    const after = on ? [...before, name] : before.filter((other) => other !== name);
    this.choose(this.names().every((other) => after.includes(other)) ? [] : after);
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
