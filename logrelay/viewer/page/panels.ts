/** Dialogs that are opened now and then: settings and downloads. */

import { button, byId, el, picked } from "./dom.js";
import { pieces, TYPES, type Format } from "./exports.js";
import { LIMIT, type Entry, type Ring } from "./ring.js";
import { save } from "./saving.js";
import type { Session } from "./session.js";
import type { Settings } from "./settings.js";
import type { SignIn } from "./signin.js";
import { texts } from "./texts.js";
import { zones } from "./time.js";

export function openPanel(title: string, ...content: (Node | null)[]): HTMLDialogElement {
  const dialog = byId("panel") as HTMLDialogElement;
  dialog.replaceChildren(el("h2", { id: "panel-title" }, title), ...content.filter((node) => node !== null));
  dialog.onkeydown = dialog.oncancel = null; // what was opened before may have had its own
  if (!dialog.open) dialog.showModal();
  return dialog;
}

export function closePanel(): void {
  (byId("panel") as HTMLDialogElement).close();
}

export function closing(label: string): HTMLElement {
  return el(
    "div",
    { class: "buttons" },
    button(label, () => closePanel(), {
      class: "primary",
      "data-testid": "panel-close",
    }),
  );
}

export function settingsPanel(
  settings: Settings,
  changed: () => void,
  session: Session,
  signIn: SignIn,
): void {
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
    return el("label", { class: "field" }, el("span", {}, label), picked(field));
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
  const signOut = (): void => {
    signIn.forget();
    location.reload();
  };
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zoneNames = zones().map((zone) => [zone, zone === "local" ? words.zones.local(here) : zone] as const);
  openPanel(
    words.title,
    el(
      "div",
      { class: "stack" },
      choice("theme", words.theme, Object.entries(words.themes)),
      choice("clock", words.clock, Object.entries(words.clocks)),
      choice("zone", words.zone, zoneNames),
      ...(["nanoseconds", "wrap", "dense", "colours", "grouped", "histogram"] as const).map(check),
      el("p", { class: "hint" }, `${words.kept} ${words.about(session.ring.length, LIMIT)}`),
      about(session.state?.version ?? null),
      signIn.known ? button(words.signOut, signOut, { "data-testid": "sign-out" }) : null,
    ),
    closing(words.close),
  );
}

/** The relay's version, and the licences of what the page is made of. */
function about(version: string | null): HTMLElement {
  const { settings: words } = texts;
  const { href } = document.querySelector<HTMLLinkElement>("link[rel=license]") ?? { href: "" };
  const link = el("a", { href, target: "_blank", "data-testid": "licences" }, words.licences);
  return el("p", { class: "hint" }, version ? `${words.version(version)} · ` : "", href ? link : null);
}

/** Offers what is loaded, or what is selected of it, as a file. */
export function downloadPanel(ring: Ring, selected: readonly number[], name: string): void {
  const { actions } = texts;
  const numbers = selected.length > 1 ? selected : null;
  const count = numbers?.length ?? ring.length;
  // Lines go on coming meanwhile, and the oldest are let go.
  const entries = function* (): Generator<Entry> {
    const { first, end } = ring;
    if (numbers) for (const number of numbers) if (ring.has(number)) yield ring.entry(number);
    if (!numbers) for (let at = first; at < end; at += 1) if (ring.has(at)) yield ring.entry(at);
  };
  const formats = (Object.keys(TYPES) as Format[]).map((format) =>
    button(
      actions.downloads[format],
      () => {
        void save(pieces(entries(), format), `${name}.${TYPES[format][0]}`, TYPES[format][1]);
        closePanel();
      },
      { "data-testid": `download-${format}` },
    ),
  );
  openPanel(
    actions.download,
    el("p", {}, numbers ? actions.downloadSelection(count) : actions.downloadLines(count)),
    el("div", { class: "choices" }, ...formats),
    closing(texts.keys.close),
  );
}
