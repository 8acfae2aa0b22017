/** How the page looks: theme, density, times. Settings are put into effect here, and kept. */

import { byId } from "./dom.js";
import { save, type Settings } from "./settings.js";

const NARROWEST = 6; // letters of the column of services
const WIDEST = 22;

export class Appearance {
  private width = 0;
  private readonly dark = matchMedia("(prefers-color-scheme: dark)");

  /** `themed` is told after colours, sizes or fonts have changed. */
  constructor(
    private readonly settings: Settings,
    private readonly themed: () => void,
  ) {
    this.dark.addEventListener("change", () => this.show());
  }

  /** A setting was changed. */
  changed = (): void => {
    save(this.settings);
    this.show();
  };

  wrap = (): void => {
    this.settings.wrap = !this.settings.wrap;
    this.changed();
  };

  /** Makes the column of services as wide as their names, within reason. */
  fit(names: readonly string[]): void {
    const width = Math.min(WIDEST, Math.max(NARROWEST, ...names.map((name) => name.length)));
    if (width === this.width || names.length === 0) return;
    this.width = width;
    document.documentElement.style.setProperty("--service", `${width}ch`);
    this.themed();
  }

  show(): void {
    const { settings } = this;
    const theme = settings.theme === "system" ? (this.dark.matches ? "dark" : "light") : settings.theme;
    const root = document.documentElement;
    root.dataset["theme"] = theme;
    root.classList.toggle("roomy", !settings.dense);
    root.dataset["clock"] = settings.nanoseconds ? `${settings.clock}-ns` : settings.clock;
    byId("wrap").setAttribute("aria-pressed", String(settings.wrap));
    byId("histogram").hidden = !settings.histogram;
    this.themed();
  }
}
