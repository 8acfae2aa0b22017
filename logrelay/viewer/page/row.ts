/** One line of the log as elements that are used again and again. Everything that came over the wire goes in as text. */

import { pieces, plain, simple, type Piece, type Rgb, type Style } from "./ansi.js";
import { hueOf, readable } from "./colours.js";
import { el } from "./dom.js";
import { spans, type Span } from "./find.js";
import type { Entry } from "./ring.js";
import { rulerText } from "./rulers.js";
import type { Settings } from "./settings.js";
import { texts } from "./texts.js";
import { stamp } from "./time.js";

export const CUT = 2000; // characters of a message that the list shows
const PREVIEW = 240; // characters of attributes beside a message

/** What a row looks like beyond its entry. */
export interface Look {
  settings: Settings;
  ground: Rgb; // the background that colours of lines must stand out from
  find: RegExp | null; // what is looked for
  filter: RegExp | null; // what the filter's words are
  selected: boolean;
  found: boolean; // the match of the moment
  folded: number; // lines that belong to this one and are not shown
  gist: string; // what the folded lines come to
  unfolded: boolean;
  member: boolean; // belongs to a line above
  now: number;
}

/** A row's parts, so that none has to be looked for. */
export interface Row {
  root: HTMLElement;
  time: HTMLElement;
  level: HTMLElement;
  service: HTMLElement;
  fold: HTMLElement;
  message: HTMLElement;
  marks: HTMLElement;
  place: number; // pixels below the top of the layer that rows stand in
  moved: boolean; // shows another line than when it was placed
}

export function makeRow(): Row {
  const time = el("span", { class: "time" });
  const level = el("span", { class: "level" });
  const service = el("button", { type: "button", class: "service", tabindex: -1, "data-act": "service" });
  const fold = el("button", {
    type: "button",
    class: "fold",
    tabindex: -1,
    "data-act": "fold",
    hidden: true,
  });
  const message = el("span", { class: "message" });
  const marks = el("span", { class: "marks" });
  const root = el("div", { class: "row", "data-testid": "row" }, time, level, service, marks, fold, message);
  return { root, time, level, service, fold, message, marks, place: NaN, moved: true };
}

export function fill(row: Row, entry: Entry, look: Look): void {
  if (entry.notice) return fillRuler(row, entry, look);
  const severity = entry.severity ?? "none";
  dressed(
    row.root,
    `row sev-${severity}` +
      (look.selected ? " selected" : "") +
      (look.found ? " current" : "") +
      (look.member ? " member" : "") +
      (look.unfolded ? " unfolded" : ""),
  );
  row.root.setAttribute("data-id", entry.id);
  write(row.time, stamp(entry.time, entry.id, look.settings, look.now));
  write(row.level, texts.list.severities[severity]);
  write(row.service, plain(entry.service));
  dressed(row.service, `service hue-${hueOf(entry.service)}`);
  fillMarks(row.marks, entry);
  fillFold(row, look);
  fillMessage(row.message, entry, look);
}

function fillRuler(row: Row, entry: Entry, look: Look): void {
  const notice = entry.notice!;
  dressed(row.root, `row ruler ruler-${notice.kind}${look.selected ? " selected" : ""}`);
  row.root.setAttribute("data-id", "");
  write(row.time, stamp(entry.time, new Date(entry.time).toISOString(), look.settings, look.now));
  write(row.level, "");
  write(row.service, "");
  dressed(row.service, "service");
  row.marks.replaceChildren();
  row.fold.hidden = true;
  write(row.message, plain(rulerText(notice, look.settings)));
}

/** Writes a text into the node that is there: five thousand lines a second would make ten thousand nodes of garbage. */
function write(host: HTMLElement, text: string): void {
  const node = host.firstChild;
  if (node instanceof Text && node === host.lastChild) {
    if (node.data !== text) node.data = text;
  } else if (node || text) host.replaceChildren(text);
}

function dressed(element: HTMLElement, classes: string): void {
  if (element.className !== classes) element.className = classes;
}

function fillMarks(host: HTMLElement, entry: Entry): void {
  if (!entry.late && !entry.truncated && !entry.redacted) {
    if (host.firstChild) host.replaceChildren();
    return;
  }
  const marks: Node[] = [];
  const mark = (text: string, hint: string, kind: string): void => {
    marks.push(el("span", { class: `mark mark-${kind}`, title: hint }, text));
  };
  if (entry.late) mark(texts.list.late, texts.list.lateHint, "late");
  if (entry.truncated) mark(texts.list.truncated, texts.list.truncatedHint(bytes(entry.size)), "truncated");
  if (entry.redacted)
    mark(texts.list.redacted(entry.redacted), texts.list.redactedHint(entry.redacted), "redacted");
  host.replaceChildren(...marks);
}

function fillFold(row: Row, look: Look): void {
  row.fold.hidden = look.folded === 0 && !look.unfolded;
  if (row.fold.hidden) return;
  write(row.fold, look.unfolded ? "−" : texts.list.unfoldLines(look.folded));
  row.fold.setAttribute("aria-label", look.unfolded ? texts.list.fold : texts.list.unfold(look.folded));
  row.fold.setAttribute("aria-expanded", String(look.unfolded));
}

function fillMessage(host: HTMLElement, entry: Entry, look: Look): void {
  const whole = shownPart(entry.message, look);
  const cut = whole.length > CUT;
  const text = cut ? whole.slice(0, CUT) : whole;
  const preview = look.unfolded ? "" : attributesPreview(entry.attributes, entry.severity);
  // Most lines are one piece of text, for which writing it is all there is to do.
  if (!cut && !preview && !look.gist && !look.find && !look.filter && simple(text)) {
    if (text === "") host.replaceChildren(el("i", { class: "quiet" }, texts.list.empty));
    else write(host, text);
    return;
  }
  const parts = document.createDocumentFragment();
  appendText(parts, text, look);
  // Escapes alone show as nothing, too.
  if (parts.textContent === "") parts.append(el("i", { class: "quiet" }, texts.list.empty));
  if (look.gist) {
    const gist = el("span", { class: "gist" });
    highlight(gist, plain(look.gist), spans(plain(look.gist), look.find), "found");
    parts.append(" ", gist);
  }
  if (cut)
    parts.append(
      "… ",
      el(
        "button",
        { type: "button", class: "all", tabindex: -1, "data-act": "open" },
        texts.list.showAll(bytes(entry.message.length)),
      ),
    );
  if (preview) {
    const side = el("span", { class: "attributes" });
    highlight(side, preview, spans(preview, look.find), "found");
    parts.append(side);
  }
  host.replaceChildren(parts);
}

/** The first line while the others are folded away, else all of them. */
function shownPart(message: string, look: Look): string {
  if (look.unfolded || !look.settings.grouped) {
    if (look.unfolded || look.settings.wrap) return message;
  }
  const end = message.indexOf("\n");
  return end < 0 ? message : message.slice(0, end);
}

/** `key=value` pairs as they stand beside a message. */
export function attributesPreview(json: string, severity: string | null): string {
  if (!json) return "";
  let text = "";
  for (const [name, value] of Object.entries(JSON.parse(json) as Record<string, unknown>)) {
    if (name === "level" && value === severity) continue; // it is said already
    text += `${text ? "  " : ""}${name}=${typeof value === "string" ? value : JSON.stringify(value)}`;
    if (text.length > PREVIEW) return `${plain(text.slice(0, PREVIEW))}…`;
  }
  return plain(text).replace(/\s*\n\s*/g, " ");
}

/** A text with its own colours and with highlights, which may lie across several pieces. */
export function appendText(host: Node, text: string, look: Look): void {
  const parts = look.settings.colours ? pieces(text) : [{ text: plain(text), style: null }];
  const whole = parts.length === 1 ? parts[0]!.text : parts.map((part) => part.text).join("");
  const marked: (readonly [Span, string])[] = [
    ...spans(whole, look.filter).map((span) => [span, "wanted"] as const),
    ...spans(whole, look.find).map((span) => [span, "found"] as const),
  ];
  let start = 0;
  for (const part of parts) {
    const end = start + part.text.length;
    const inside = marked
      .filter(([[from, to]]) => from < end && to > start)
      .map(
        ([[from, to], kind]) => [[Math.max(from, start) - start, Math.min(to, end) - start], kind] as const,
      );
    host.appendChild(pieceNode(part, inside, look.ground));
    start = end;
  }
}

function pieceNode(
  part: Piece,
  marked: readonly (readonly [readonly number[], string])[],
  ground: Rgb,
): Node {
  if (!part.style && marked.length === 0) return document.createTextNode(part.text);
  const span = el("span");
  if (part.style) dress(span, part.style, ground);
  let at = 0;
  for (const [[from, to], kind] of [...marked].sort((one, other) => one[0][0]! - other[0][0]!)) {
    if (from! < at) continue; // found and wanted at the same place: the first one shows
    span.append(part.text.slice(at, from), el("mark", { class: kind }, part.text.slice(from, to)));
    at = to!;
  }
  span.append(part.text.slice(at));
  return span;
}

function highlight(host: HTMLElement, text: string, found: readonly Span[], kind: string): void {
  let at = 0;
  for (const [from, to] of found) {
    host.append(text.slice(at, from), el("mark", { class: kind }, text.slice(from, to)));
    at = to;
  }
  host.append(text.slice(at));
}

/** Classes for the palette's colours, so that the theme decides; other colours are made readable on its ground. */
function dress(span: HTMLElement, style: Style, ground: Rgb): void {
  const [fg, bg] = style.inverse ? [style.bg ?? "ground", style.fg ?? "text"] : [style.fg, style.bg];
  if (typeof fg === "number") span.classList.add(`fg-${fg}`);
  else if (fg === "ground") span.classList.add("fg-ground");
  else if (fg !== null && typeof fg === "object")
    span.style.color = css(readable(fg, bg !== null && typeof bg === "object" ? bg : ground));
  if (typeof bg === "number") span.classList.add(`bg-${bg}`);
  else if (bg === "text") span.classList.add("bg-text");
  else if (bg !== null && typeof bg === "object") {
    span.style.backgroundColor = css(bg);
    if (fg === null) span.style.color = css(readable(ground, bg));
  }
  for (const name of ["bold", "dim", "italic", "underline", "strike"] as const) {
    if (style[name]) span.classList.add(`sgr-${name}`);
  }
}

function css([red, green, blue]: Rgb): string {
  return `rgb(${red}, ${green}, ${blue})`;
}

export function bytes(size: number): string {
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${Math.round(size / 1024)} KB`;
  return `${(size / 1024 / 1024).toFixed(1)} MB`;
}
