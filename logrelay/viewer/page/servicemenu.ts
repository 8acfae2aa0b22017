/** What can be done with a service, beside its name in a line. */

import { plain } from "./ansi.js";
import { button, byId, el } from "./dom.js";
import { texts } from "./texts.js";

export function serviceMenu(
  anchor: HTMLElement,
  service: string,
  actions: { only: () => void; hide: () => void; all: (() => void) | null; copy: () => void },
): void {
  document.querySelector(".service-menu")?.remove();
  const { bar, drawer } = texts;
  const shown = plain(service);
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
    item(bar.only(shown), actions.only, "only-service"),
    item(bar.hide(shown), actions.hide, "hide-service"),
  );
  if (actions.all) menu.append(item(bar.everything, actions.all, "all-services"));
  menu.append(item(drawer.copyValue(shown), actions.copy, "copy-service"));
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
