/** The table of keys: what each does, for the keyboard and for the sheet that explains it. */

import { byId } from "./dom.js";
import type { Drawer } from "./drawer.js";
import type { FilterBar } from "./filterbar.js";
import type { FindBar } from "./findbar.js";
import type { Key } from "./keys.js";
import type { Lines } from "./lines.js";
import type { Older } from "./older.js";
import type { Ring } from "./ring.js";
import type { Settings } from "./settings.js";
import type { Taking } from "./taking.js";

export interface Parts {
  ring: Ring;
  lines: Lines;
  bar: FilterBar;
  findBar: FindBar;
  drawer: Drawer;
  olderMatches: Older;
  settings: Settings;
  taking: Taking;
}

/** What the page can do that concerns more than one of its parts. */
export interface Deeds {
  show(number: number): void;
  showAround(number: number): void;
  changed(): void;
  choose(): void;
  openSettings(): void;
  sheet(): void;
}

export function commands(parts: Parts & Deeds): Key[] {
  const { ring, lines, bar, findBar, settings, taking } = parts;
  const isError = (number: number): boolean => !ring.isNotice(number) && ring.severity(number) === 3;
  const withSelected = (act: (number: number) => void) => (): void => {
    if (lines.selected !== null && ring.has(lines.selected)) act(lines.selected);
  };
  const set = (change: Partial<Settings>): void => {
    Object.assign(settings, change);
    parts.changed();
  };
  return [
    { keys: ["j", "ArrowDown"], name: "down", group: "move", act: () => lines.step(1) },
    { keys: ["k", "ArrowUp"], name: "up", group: "move", act: () => lines.step(-1) },
    { keys: ["J", "Shift+ArrowDown"], name: "extendDown", group: "move", act: () => lines.step(1, true) },
    { keys: ["K", "Shift+ArrowUp"], name: "extendUp", group: "move", act: () => lines.step(-1, true) },
    { keys: ["G", "End"], name: "newest", group: "move", act: () => lines.list.follow(true) },
    { keys: ["g", "Home"], name: "oldest", group: "move", act: () => lines.list.reveal(ring.first, false) },
    { keys: [" "], name: "follow", group: "move", act: () => lines.list.follow(!lines.list.following) },
    { keys: ["Enter", "o"], name: "open", group: "move", act: withSelected((number) => parts.show(number)) },
    { keys: ["x"], name: "fold", group: "move", act: withSelected((number) => lines.fold(number)) },
    { keys: ["Escape"], name: "close", group: "move", act: () => escape(parts) },
    { keys: ["/"], name: "filter", group: "find", act: () => bar.input.focus() },
    { keys: ["f"], name: "find", group: "find", act: () => findBar.open() },
    { keys: ["n"], name: "next", group: "find", act: () => findBar.go(1) },
    { keys: ["N", "p"], name: "previous", group: "find", act: () => findBar.go(-1) },
    { keys: ["]"], name: "errorNext", group: "find", act: () => lines.go(1, isError) },
    { keys: ["["], name: "errorPrevious", group: "find", act: () => lines.go(-1, isError) },
    {
      keys: ["a"],
      name: "around",
      group: "find",
      act: withSelected((number) => parts.showAround(number)),
    },
    { keys: ["\\"], name: "clear", group: "find", act: () => bar.clear() },
    { keys: ["w"], name: "wrap", group: "view", act: () => set({ wrap: !settings.wrap }) },
    { keys: ["t"], name: "clock", group: "view", act: () => set({ clock: nextClock(settings.clock) }) },
    {
      keys: ["."],
      name: "nanoseconds",
      group: "view",
      act: () => set({ nanoseconds: !settings.nanoseconds }),
    },
    {
      keys: ["z"],
      name: "zone",
      group: "view",
      act: () => set({ zone: settings.zone === "UTC" ? "local" : "UTC" }),
    },
    {
      keys: ["l"],
      name: "theme",
      group: "view",
      act: () => set({ theme: document.documentElement.dataset["theme"] === "dark" ? "light" : "dark" }),
    },
    { keys: ["h"], name: "histogram", group: "view", act: () => set({ histogram: !settings.histogram }) },
    { keys: ["e"], name: "environment", group: "view", act: () => parts.choose() },
    { keys: ["i"], name: "connection", group: "view", act: () => byId("state").click() },
    { keys: [","], name: "settings", group: "view", act: () => parts.openSettings() },
    { keys: ["c"], name: "copy", group: "take", act: () => taking.selection() },
    { keys: ["y"], name: "link", group: "take", act: () => taking.selectionLink() },
    {
      keys: ["Y"],
      name: "viewLink",
      group: "take",
      act: () => taking.viewLink(),
    },
    { keys: ["d"], name: "download", group: "take", act: () => taking.download() },
    { keys: ["?"], name: "help", group: "take", act: () => parts.sheet() },
  ];
}

function nextClock(clock: Settings["clock"]): Settings["clock"] {
  const order = ["time", "full", "relative"] as const;
  return order[(order.indexOf(clock) + 1) % order.length]!;
}

/** Closes what was opened last; the selection goes when nothing is open. */
function escape({ drawer, olderMatches, findBar, lines }: Parts): void {
  if (drawer.open) drawer.close();
  else if (olderMatches.shown) olderMatches.close();
  else if (findBar.shown) findBar.close();
  else lines.select(null);
}
