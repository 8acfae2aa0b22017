/** The page's fixed elements, made once. Their ids are how the other modules find them. */

import { DOWN, el, icon, picked } from "./dom.js";
import { texts } from "./texts.js";

const ICONS = {
  find: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9ZM10.4 10.4 14 14",
  wrap: "M2 4h12M2 8h9.5a2.25 2.25 0 0 1 0 4.5H8.5M10 10.8l-1.8 1.7 1.8 1.7M2 12h3",
  download: "M8 2v8M4.8 7 8 10.2 11.2 7M2.5 13.5h11",
  settings:
    "M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6M10 2.7a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6ZM6 9.7a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6Z",
  follow: "M3.5 3.5 8 8l4.5-4.5M3.5 8.5 8 13l4.5-4.5",
  help: "M5.6 6a2.4 2.4 0 1 1 3.5 2.1c-.7.4-1.1.9-1.1 1.7M8 12.6v.1",
  link: "M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2.3-2.3a2.6 2.6 0 0 0-3.7-3.7l-1 1M9.2 6.8a2.6 2.6 0 0 0-3.7 0L3.2 9.1a2.6 2.6 0 0 0 3.7 3.7l1-1",
} as const;

function tool(id: string, label: string, path: string, key: string): HTMLElement {
  const made = el("button", {
    type: "button",
    id,
    class: "tool",
    "aria-label": label,
    title: `${label} (${key})`,
    "data-testid": id,
  });
  made.append(icon(path));
  return made;
}

function header(): HTMLElement {
  const { header, actions } = texts;
  const environment = el(
    "button",
    {
      type: "button",
      id: "environment",
      class: "environment",
      "aria-haspopup": "dialog",
      "data-testid": "environment",
    },
    el("span", { id: "environment-name" }, "logrelay"),
  );
  environment.append(icon(DOWN));
  const state = el(
    "button",
    {
      type: "button",
      id: "state",
      class: "state",
      "data-tone": "busy",
      "aria-haspopup": "dialog",
      "aria-describedby": "state-more",
      "data-testid": "state",
    },
    el("span", { class: "dot" }),
    el("span", { id: "state-label" }, header.connecting),
  );
  return el(
    "header",
    { class: "top" },
    el("h1", { class: "sr-only" }, texts.logs),
    environment,
    state,
    el("span", { id: "state-more", class: "sr-only" }, header.more),
    el(
      "button",
      { type: "button", id: "reconnect", class: "reconnect", hidden: true, "data-testid": "reconnect" },
      header.now,
    ),
    el("button", {
      type: "button",
      id: "holes",
      class: "holes",
      title: header.holesHint,
      "aria-haspopup": "dialog",
      hidden: true,
      "data-testid": "holes",
    }),
    el(
      "div",
      { class: "facts" },
      el("span", { id: "rate", title: header.rateHint, "data-testid": "rate", hidden: true }),
      el("span", { id: "lag", title: header.lagHint, "data-testid": "lag", hidden: true }),
      el("span", { id: "freshness", title: header.freshnessHint, "data-testid": "freshness", hidden: true }),
      el("span", { id: "viewers", "data-testid": "viewers", hidden: true }),
    ),
    el(
      "div",
      { class: "tools" },
      tool("follow", actions.follow, ICONS.follow, texts.keys.space),
      tool("find-open", texts.bar.find, ICONS.find, "f"),
      tool("wrap", actions.wrap, ICONS.wrap, "w"),
      tool("view-link", actions.copyView, ICONS.link, "Y"),
      tool("download", actions.download, ICONS.download, "d"),
      tool("settings", actions.settings, ICONS.settings, ","),
      tool("help", actions.help, ICONS.help, "?"),
    ),
  );
}

function bar(): HTMLElement {
  const { bar } = texts;
  const services = el(
    "button",
    {
      type: "button",
      id: "services",
      class: "select",
      "aria-expanded": "false",
      "aria-controls": "services-menu",
      "data-testid": "services",
    },
    el("span", { id: "services-label" }, bar.allServices),
  );
  services.append(icon(DOWN));
  const levels = [
    ["", bar.levels.all],
    ["debug", bar.levels.debug],
    ["info", bar.levels.info],
    ["warn", bar.levels.warn],
    ["error", bar.levels.error],
  ] as const;
  const level = el(
    "select",
    { id: "level", class: "select", "aria-label": bar.severity, "data-testid": "level" },
    ...levels.map(([value, label]) => el("option", { value }, label)),
  );
  const query = el("input", {
    id: "query",
    type: "text",
    role: "combobox",
    "aria-label": bar.search,
    "aria-expanded": "false",
    "aria-autocomplete": "list",
    "aria-controls": "completions",
    "aria-describedby": "fault",
    placeholder: bar.placeholder,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    enterkeyhint: "search",
    maxlength: 1024,
    "data-testid": "query",
  });
  return el(
    "search",
    { class: "bar", "aria-label": bar.label },
    el(
      "div",
      { class: "menu-anchor" },
      services,
      el("div", {
        id: "services-menu",
        class: "menu",
        role: "group",
        "aria-label": bar.services,
        hidden: true,
        "data-testid": "services-menu",
      }),
    ),
    picked(level),
    el(
      "div",
      { class: "query" },
      query,
      el(
        "button",
        {
          type: "button",
          id: "clear-filter",
          class: "quiet-button clear",
          "aria-label": bar.clear,
          title: bar.clear,
          hidden: true,
          "data-testid": "clear-filter",
        },
        "×",
      ),
      el("ul", {
        id: "completions",
        class: "completions",
        role: "listbox",
        "aria-label": bar.completion,
        hidden: true,
      }),
    ),
    el("div", { id: "fault", class: "fault", role: "status", hidden: true, "data-testid": "fault" }),
    el("div", { id: "chips", class: "chips", hidden: true }),
  );
}

function findBar(): HTMLElement {
  const { bar } = texts;
  const small = (id: string, label: string, text: string): HTMLElement =>
    el(
      "button",
      { type: "button", id, class: "quiet-button", "aria-label": label, title: label, "data-testid": id },
      text,
    );
  return el(
    "div",
    { id: "find-bar", class: "find-bar", hidden: true, role: "search", "aria-label": bar.find },
    el("input", {
      id: "find",
      type: "text",
      "aria-label": bar.findLabel,
      placeholder: bar.findPlaceholder,
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      maxlength: 500,
      "data-testid": "find",
    }),
    el("span", { id: "find-count", class: "find-count", role: "status", "data-testid": "find-count" }),
    small("find-previous", bar.previous, "↑"),
    small("find-next", bar.next, "↓"),
    el("button", { type: "button", id: "find-older", "data-testid": "find-older" }, bar.older),
    small("find-close", bar.closeFind, "×"),
  );
}

function histogram(): HTMLElement {
  return el(
    "div",
    { id: "histogram", class: "histogram", tabindex: 0, role: "region", "data-testid": "histogram" },
    el("div", { id: "plot", "aria-hidden": "true" }),
    el("div", { id: "histogram-tip", class: "histogram-tip", role: "status", hidden: true }),
    el("div", { id: "histogram-summary", class: "histogram-summary" }),
  );
}

function main(): HTMLElement {
  const { list, drawer, older } = texts;
  const lines = el(
    "div",
    {
      id: "lines",
      class: "lines",
      role: "log",
      "aria-live": "off",
      "aria-label": list.label,
      tabindex: 0,
      "data-testid": "lines",
    },
    el("div", { id: "canvas", class: "canvas" }),
  );
  return el(
    "main",
    { class: "main" },
    el(
      "div",
      { class: "stage" },
      el("div", { id: "banner", class: "banner", role: "status", hidden: true, "data-testid": "banner" }),
      el("div", {
        id: "top-note",
        class: "top-note",
        role: "status",
        hidden: true,
        "data-testid": "top-note",
      }),
      lines,
      el("div", { id: "nothing", class: "nothing", "data-testid": "nothing" }),
      el("button", { type: "button", id: "newer", class: "newer", hidden: true, "data-testid": "newer" }),
    ),
    el("aside", {
      id: "drawer",
      class: "drawer",
      "aria-label": drawer.label,
      hidden: true,
      "data-testid": "drawer",
    }),
    el("aside", {
      id: "older",
      class: "drawer",
      "aria-label": older.label,
      hidden: true,
      "data-testid": "older",
    }),
  );
}

export function build(): void {
  const dialog = (id: string, titled: string): HTMLElement =>
    el("dialog", { id, "aria-labelledby": titled, "data-testid": id });
  document.body.replaceChildren(
    el("a", { class: "skip", href: "#lines" }, texts.skip),
    header(),
    bar(),
    findBar(),
    histogram(),
    main(),
    el("div", { id: "toast", class: "toast", role: "status", hidden: true, "data-testid": "toast" }),
    el("div", { id: "spoken", class: "sr-only", role: "status", "data-testid": "spoken" }),
    el("div", { id: "spoken-state", class: "sr-only", role: "status" }),
    dialog("sheet", "sheet-title"),
    dialog("panel", "panel-title"),
    dialog("signin", "signin-title"),
  );
}
