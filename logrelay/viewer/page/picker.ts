/** The choice of an environment, with a search where there are many, and what can be done where there is none. */

import { plain } from "./ansi.js";
import { button, el } from "./dom.js";
import type { Environment } from "./model.js";
import { closePanel, closing, openPanel } from "./panels.js";
import { texts } from "./texts.js";

const MANY = 8; // environments from which on they can be searched
const LISTED = 500; // the most that a relay lists

export interface Choice {
  environments: readonly Environment[];
  current: string | null;
  choose: (environmentId: string) => void;
  /** Asks the relay once more. */
  again: () => void;
  /** Signs in as somebody else, where that can be done here. */
  other: (() => void) | null;
}

/** Environments whose name, project or id has all words; in the order given. */
export function searched(environments: readonly Environment[], text: string): readonly Environment[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return environments.filter(({ name, projectName, id }) => {
    const whole = `${projectName ?? ""} ${name ?? ""} ${id}`.toLowerCase();
    return words.every((word) => whole.includes(word));
  });
}

export function picker(choice: Choice): HTMLDialogElement {
  const { picker: words } = texts;
  const close = choice.current === null ? null : closing(texts.keys.close);
  if (choice.environments.length === 0) {
    return openPanel(words.title, el("p", {}, words.none), remedies(choice), close);
  }
  const list = el("div", { class: "choices column" });
  const count = el("p", { class: "hint", role: "status" });
  const show = (text: string): void => {
    const found = searched(choice.environments, text);
    list.replaceChildren(...found.map((environment) => option(environment, choice)));
    const all = choice.environments.length;
    count.textContent =
      found.length < all ? words.found(found.length, all) : all >= LISTED ? words.first(all) : "";
  };
  const many = choice.environments.length > MANY;
  const dialog = openPanel(words.title, many ? search(show) : null, many ? count : null, list, close);
  show("");
  dialog.onkeydown = (event) => steps(event, dialog);
  dialog.querySelector<HTMLElement>("input, [aria-current], button")?.focus();
  return dialog;
}

function search(show: (text: string) => void): HTMLElement {
  const field = el("input", {
    type: "text",
    class: "wide",
    placeholder: texts.picker.search,
    "aria-label": texts.picker.search,
    autocomplete: "off",
    spellcheck: "false",
    "data-testid": "environment-search",
  });
  field.addEventListener("input", () => show(field.value));
  return field;
}

function option(environment: Environment, { current, choose }: Choice): HTMLElement {
  const name = plain(environment.name ?? environment.id);
  const project = plain(environment.projectName ?? "");
  const press = (): void => {
    closePanel();
    choose(environment.id);
  };
  const one = button("", press, {
    class: "environment-option",
    "data-testid": "environment-option",
    // A name has to have all that is written in it, in that order.
    "aria-label": texts.picker.open([name, project].filter(Boolean).join(" ")),
    "aria-current": environment.id === current ? "true" : null,
  });
  one.append(el("span", { class: "name" }, name));
  if (project) one.append(" ", el("span", { class: "hint" }, project));
  return one;
}

/** The relay knows no environment for this caller: the credential may be another one's. */
function remedies({ again, other }: Choice): HTMLElement {
  const pressed = (act: () => void) => (): void => {
    closePanel();
    act();
  };
  return el(
    "div",
    { class: "choices" },
    button(texts.picker.retry, pressed(again), { "data-testid": "retry" }),
    ...(other ? [button(texts.picker.other, pressed(other), { "data-testid": "other-token" })] : []),
  );
}

/** Arrows go from one environment to the next; Enter in the search takes the first. */
function steps(event: KeyboardEvent, dialog: HTMLElement): void {
  const options = [...dialog.querySelectorAll<HTMLElement>(".environment-option")];
  const at = options.indexOf(document.activeElement as HTMLElement);
  if (event.key === "ArrowDown") options[Math.min(options.length - 1, at + 1)]?.focus();
  else if (event.key === "ArrowUp")
    (at <= 0 ? dialog.querySelector<HTMLElement>("input") : options[at - 1])?.focus();
  else if (event.key === "Enter" && at < 0 && document.activeElement instanceof HTMLInputElement)
    options[0]?.click();
  else return;
  event.preventDefault();
}
