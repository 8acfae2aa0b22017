/**
 * Colours of terminals (SGR) as pieces of text with a style. Each line stands for itself: no colour bleeds into the
 * next one, and a torn escape swallows nothing. Other escape sequences are left out; what remains of control and
 * direction-changing characters is made visible, because a line's text must not pretend to be what it is not.
 *
 * What colours mean is anser's business. It is given whole SGR sequences only, one at a time and never the text, so
 * that it has nothing hostile to look at and the work grows with the line's length alone.
 */

import Anser from "anser";

export interface Style {
  /** A colour of the palette (0 to 15), or a colour in red, green, blue. */
  fg: number | Rgb | null;
  bg: number | Rgb | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  strike: boolean;
  inverse: boolean;
}

export type Rgb = readonly [number, number, number];

export interface Piece {
  text: string;
  style: Style | null; // null: as the page has it
}

// The palette's first sixteen colours by anser's names for them: these are the theme's.
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const THEMED = new Map(
  [...NAMES, ...NAMES.map((name) => `bright-${name}`)].map((name, colour) => [`ansi-${name}`, colour]),
);
// Never given anything but colours of the palette, so that their parts are worked out once.
const palette = new Anser();

// CSI sequences; OSC up to its end (BEL or ST) on the same line; two-character escapes. SGR is group 1.
const ESCAPES =
  // eslint-disable-next-line no-control-regex
  /\x1b\[([0-9;:]{0,64})m|\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b\][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\)|\x1b[()][0-9A-B]|\x1b[=>78cDEHM]/g;
// A line's end as Windows writes it, also where colours are put back in between.
// eslint-disable-next-line no-control-regex
const RETURNS = /\r(?=(?:\x1b\[[0-9;:]{0,64}m)*(?:\n|$))/g;
const HOSTILE =
  // eslint-disable-next-line no-control-regex
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** Whether a text needs no work at all, which is so for most lines. */
export function simple(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return !/[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]/.test(
    text,
  );
}

/** The text without its escape sequences, hostile characters made visible. */
export function plain(text: string): string {
  return simple(text) ? text : visible(text.replace(RETURNS, "").replace(ESCAPES, ""));
}

/** A line as pieces of one style each. Pieces without text are left out. */
export function pieces(whole: string): Piece[] {
  if (simple(whole)) return whole ? [{ text: whole, style: null }] : [];
  const text = whole.replace(RETURNS, "");
  const found: Piece[] = [];
  const anser = new Anser();
  let style: Style | null = null;
  let from = 0;
  const add = (to: number): void => {
    if (to > from) found.push({ text: visible(text.slice(from, to)), style });
  };
  for (const match of text.matchAll(ESCAPES)) {
    add(match.index);
    if (match[1] !== undefined) style = styled(anser, match[1]);
    from = match.index + match[0].length;
  }
  add(text.length);
  return found;
}

function visible(text: string): string {
  return text.replace(HOSTILE, shown);
}

function shown(character: string): string {
  const code = character.codePointAt(0)!;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  if (code >= 0xd800 && code <= 0xdfff) return "\ufffd";
  return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}

/** The style after one SGR sequence. Codes that mean nothing here change nothing. */
function styled(anser: Anser, parameters: string): Style | null {
  const result = anser.processChunkJson(`${semicolons(parameters)}m`, { use_classes: true }, true);
  if (!result.was_processed) return null;
  const has = new Set(result.decorations);
  // The list is anser's own, which adds to it each time: a line of nothing but "bold" must not make it long.
  result.decorations.splice(0, Infinity, ...has);
  return {
    fg: colour(result.fg, result.fg_truecolor),
    bg: colour(result.bg, result.bg_truecolor),
    bold: has.has("bold"),
    dim: has.has("dim"),
    italic: has.has("italic"),
    underline: has.has("underline"),
    strike: has.has("strikethrough"),
    inverse: has.has("reverse"),
  }; // text that is said to be hidden is shown: a log has nothing to hide
}

/** The colons of ITU T.416 as the semicolons that anser knows: no colour space, and one kind of underline. */
function semicolons(parameters: string): string {
  if (!parameters.includes(":")) return parameters;
  return parameters
    .replace(/(^|;)([34]8:2:)\d*:(\d+:\d+:\d+)/g, "$1$2$3")
    .replace(/(^|;)4:(\d)/g, (_, before: string, kind: string) => before + (kind === "0" ? "24" : "4"))
    .replaceAll(":", ";");
}

/** One of the theme's colours, or the parts of any other. */
function colour(name: string | null, parts: string | null): number | Rgb | null {
  if (name === null) return null;
  const themed = THEMED.get(name);
  if (themed !== undefined) return themed;
  const index = /^ansi-palette-(\d+)$/.exec(name)?.[1];
  const text = index === undefined ? parts : palette.processChunkJson(`38;5;${index}m`, {}, true).fg;
  const [red, green, blue] = (text ?? "").split(",").map(Number);
  return red === undefined || green === undefined || blue === undefined ? null : [red, green, blue];
}
