/** What this browser remembers of its reader's wishes. Never a credential: see signin.ts. */

import type { Clock } from "./time.js";
import { known } from "./time.js";

export interface Settings {
  theme: "system" | "light" | "dark";
  clock: Clock;
  zone: string;
  nanoseconds: boolean;
  wrap: boolean;
  colours: boolean; // of the lines' own ANSI codes
  grouped: boolean; // stack traces folded
  histogram: boolean;
  dense: boolean;
}

const KEY = "logrelay.settings";
const DEFAULTS: Settings = {
  theme: "system",
  clock: "time",
  zone: "local",
  nanoseconds: false,
  wrap: false,
  colours: true,
  grouped: true,
  histogram: true,
  dense: true,
};
const CHOICES: Partial<Record<keyof Settings, readonly string[]>> = {
  theme: ["system", "light", "dark"],
  clock: ["time", "full", "relative"],
};

/** Settings from what was stored: whatever is missing or not right is as by default, on a small screen or a big one. */
export function sound(stored: unknown, small = false): Settings {
  const settings = { ...DEFAULTS, wrap: small };
  if (stored === null || typeof stored !== "object") return settings;
  for (const key of Object.keys(DEFAULTS) as (keyof Settings)[]) {
    const value = (stored as Record<string, unknown>)[key];
    if (typeof value !== typeof DEFAULTS[key]) continue;
    if (CHOICES[key] && !CHOICES[key].includes(value as string)) continue;
    if (key === "zone" && !known(value as string)) continue;
    Object.assign(settings, { [key]: value });
  }
  return settings;
}

export function load(): Settings {
  const small = matchMedia("(max-width: 640px)").matches; // there, lines that aren't wrapped show little
  try {
    return sound(JSON.parse(localStorage.getItem(KEY) ?? "null"), small);
  } catch {
    return sound(null, small); // storage is off, or holds something else
  }
}

export function save(settings: Settings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing shows the page all the same.
  }
}
