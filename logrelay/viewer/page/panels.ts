/** Dialogs that are opened now and then: settings, downloads, the choice of an environment, the menu of a service. */

import { button, byId, el } from "./dom.js";
import { pieces, TYPES, type Format } from "./exports.js";
import type { Environment } from "./model.js";
import { LIMIT, type Entry, type Ring } from "./ring.js";
import type { Settings } from "./settings.js";
import { texts } from "./texts.js";
import { zones } from "./time.js";

function open(title: string, ...content: (Node | null)[]): HTMLDialogElement {
  const dialog = byId("panel") as HTMLDialogElement;
  dialog.replaceChildren(el("h2", { id: "panel-title" }, title), ...content.filter((node) => node !== null));
  if (!dialog.open) dialog.showModal();
  return dialog;
}

function closing(label: string): HTMLElement {
  return el(
    "div",
    { class: "buttons" },
    button(label, () => (byId("panel") as HTMLDialogElement).close(), {
      class: "primary",
      "data-testid": "panel-close",
    }),
  );
}

export interface SettingsPanel {
  settings: Settings;
  held: number;
  changed: () => void;
  signOut: (() => void) | null;
  version: string | null;
}

export function settingsPanel({ settings, held, changed, signOut, version }: SettingsPanel): void {
  const { settings: words } = texts;
  const choice = <Key extends "theme" | "clock" | "zone">(
    key: Key,
    label: string,
    options: (readonly [string, string])[],
  ): HTMLElement => {
    const field = el(
      "select",
      { "data-testid": `setting-${key}` },
      ...options.map(([value, text]) => el("option", { value }, text)),
    );
    field.value = settings[key];
    field.addEventListener("change", () => {
      settings[key] = field.value as Settings[Key];
      changed();
    });
    return el("label", { class: "field" }, el("span", {}, label), field);
  };
  const check = (
    key: "nanoseconds" | "wrap" | "colours" | "grouped" | "histogram" | "dense",
  ): HTMLElement => {
    const box = el("input", { type: "checkbox", "data-testid": `setting-${key}` });
    box.checked = settings[key];
    box.addEventListener("change", () => {
      settings[key] = box.checked;
      changed();
    });
    return el("label", { class: "check" }, box, words[key]);
  };
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zoneNames = zones().map((zone) => [zone, zone === "local" ? words.zones.local(here) : zone] as const);
  open(
    words.title,
    el(
      "div",
      { class: "stack" },
      choice("theme", words.theme, Object.entries(words.themes)),
      choice("clock", words.clock, Object.entries(words.clocks)),
      choice("zone", words.zone, zoneNames),
      ...(["nanoseconds", "wrap", "dense", "colours", "grouped", "histogram"] as const).map(check),
      el(
        "p",
        { class: "hint" },
        `${words.kept} ${words.about(held, LIMIT)}${version ? ` ${texts.header.version(version)}.` : ""}`,
      ),
      signOut ? button(words.signOut, signOut, { "data-testid": "sign-out" }) : null,
    ),
    closing(words.close),
  );
}

/** Offers what is loaded, or what is selected of it, as a file. */
export function downloadPanel(ring: Ring, selected: readonly number[], name: string): void {
  const { actions } = texts;
  const numbers = selected.length > 1 ? selected : null;
  const count = numbers?.length ?? ring.length;
  const entries = function* (): Generator<Entry> {
    if (numbers) for (const number of numbers) yield ring.entry(number);
    else for (let number = ring.first; number < ring.end; number += 1) yield ring.entry(number);
  };
  const formats = (Object.keys(TYPES) as Format[]).map((format) =>
    button(
      actions.downloads[format],
      () => {
        save([...pieces(entries(), format)], `${name}.${TYPES[format][0]}`, TYPES[format][1]);
        (byId("panel") as HTMLDialogElement).close();
      },
      { "data-testid": `download-${format}` },
    ),
  );
  open(
    actions.download,
    el("p", {}, numbers ? actions.downloadSelection(count) : actions.downloadLines(count)),
    el("div", { class: "choices" }, ...formats),
    closing(texts.keys.close),
  );
}

function save(parts: string[], name: string, type: string): void {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser reads it after the click
}

/** Lets the reader choose; gives null where there is nothing to choose from. */
export function picker(
  environments: readonly Environment[],
  current: string | null,
  choose: (id: string) => void,
): void {
  const { picker: words } = texts;
  const made = environments.map((environment) => {
    const name = environment.name ?? environment.id;
    const one = button(
      name,
      () => {
        (byId("panel") as HTMLDialogElement).close();
        choose(environment.id);
      },
      {
        class: "environment-option",
        "data-testid": "environment-option",
        // A name has to have all that is written in it.
        "aria-label": words.open([name, environment.projectName].filter(Boolean).join(" ")),
        "aria-current": environment.id === current ? "true" : null,
      },
    );
    if (environment.projectName) one.append(el("span", { class: "hint" }, ` ${environment.projectName}`));
    return one;
  });
  const content = made.length ? el("div", { class: "choices column" }, ...made) : el("p", {}, words.none);
  open(words.title, content, current === null ? null : closing(texts.keys.close));
}

/** What can be done with a service, beside its chip. */
export function serviceMenu(
  anchor: HTMLElement,
  service: string,
  actions: { only: () => void; hide: () => void; all: (() => void) | null; copy: () => void },
): void {
  document.querySelector(".service-menu")?.remove();
  const { bar, drawer } = texts;
  const menu = el("div", { class: "menu service-menu", role: "menu", "data-testid": "service-menu" });
  const close = (): void => {
    menu.remove();
    document.removeEventListener("pointerdown", outside, true);
    byId("lines").focus();
  };
  const outside = (event: Event): void => {
    if (!menu.contains(event.target as Node)) close();
  };
  const item = (label: string, act: () => void, testid: string): HTMLElement =>
    button(
      label,
      () => {
        close();
        act();
      },
      { role: "menuitem", "data-testid": testid },
    );
  menu.append(
    item(bar.only(service), actions.only, "only-service"),
    item(bar.hide(service), actions.hide, "hide-service"),
  );
  if (actions.all) menu.append(item(bar.everything, actions.all, "all-services"));
  menu.append(item(drawer.copyValue(service), actions.copy, "copy-service"));
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement as HTMLButtonElement);
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown") items[(at + 1) % items.length]?.focus();
    else if (event.key === "ArrowUp") items[(at + items.length - 1) % items.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.body.append(menu);
  const box = anchor.getBoundingClientRect();
  menu.style.left = `${Math.min(box.left, innerWidth - menu.offsetWidth - 8)}px`;
  menu.style.top = `${Math.min(box.bottom + 4, innerHeight - menu.offsetHeight - 8)}px`;
  document.addEventListener("pointerdown", outside, true);
  menu.querySelector("button")?.focus();
}
