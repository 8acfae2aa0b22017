/** Which colour a service has, and whether colours can be read: relative luminance and contrast as WCAG 2.2 has them. */

import type { Rgb } from "./ansi.js";

export const SERVICE_COLOURS = 12; // classes `hue-0` … in the style sheet

const taken = new Map<string, number>();

/** Gives services their colours: each the one of its name or, where another has that already, the next that is free. */
export function colour(names: readonly string[]): void {
  taken.clear();
  const used = new Set<number>();
  for (const name of [...names].sort()) {
    let hue = hashed(name);
    for (let tries = 0; used.has(hue) && tries < SERVICE_COLOURS; tries += 1)
      hue = (hue + 5) % SERVICE_COLOURS;
    used.add(hue);
    taken.set(name, hue);
  }
}

/** A number for a service that is the same in every tab and after every reload. */
export function hueOf(name: string): number {
  return taken.get(name) ?? hashed(name);
}

/** FNV-1a. */
function hashed(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) % SERVICE_COLOURS;
}

export function parseHex(text: string): Rgb {
  const hex = text.replace("#", "");
  const full = hex.length === 3 ? [...hex].map((digit) => digit + digit).join("") : hex;
  return [0, 2, 4].map((at) => parseInt(full.slice(at, at + 2), 16)) as unknown as Rgb;
}

export function luminance([red, green, blue]: Rgb): number {
  const linear = (part: number): number => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

export function contrast(one: Rgb, other: Rgb): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** The colour itself if it can be read on the ground, else as much nearer to black or white as it takes. */
export function readable(colour: Rgb, ground: Rgb, ratio = 4.5): Rgb {
  const target = luminance(ground) > 0.18 ? 0 : 255;
  for (let step = 0; step <= 20; step += 1) {
    const mixed = colour.map((part) => Math.round(part + ((target - part) * step) / 20)) as unknown as Rgb;
    if (contrast(mixed, ground) >= ratio) return mixed;
  }
  return [target, target, target];
}
