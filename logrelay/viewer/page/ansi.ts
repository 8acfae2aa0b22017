/**
 * Colours of terminals (SGR) as pieces of text with a style. Each line stands for itself: no colour bleeds into the
 * next one, and a torn escape swallows nothing. Other escape sequences are left out; what remains of control and
 * direction-changing characters is made visible, because a line's text must not pretend to be what it is not.
 */

export interface Style {
  /** A colour of the palette (0 to 15), or a CSS colour in red, green, blue. */
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

const PLAIN: Style = {
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
};

// CSI sequences; OSC up to its end (BEL or ST) on the same line; two-character escapes. SGR is group 1.
const ESCAPES =
  // eslint-disable-next-line no-control-regex
  /\x1b\[([0-9;:]{0,64})m|\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b\][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\)|\x1b[()][0-9A-B]|\x1b[=>78cDEHM]/g;
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
  return simple(text) ? text : visible(text.replace(ESCAPES, ""));
}

/** A line as pieces of one style each. Pieces without text are left out. */
export function pieces(text: string): Piece[] {
  if (simple(text)) return text ? [{ text, style: null }] : [];
  const found: Piece[] = [];
  let style: Style = PLAIN;
  let from = 0;
  const add = (to: number): void => {
    if (to > from) found.push({ text: visible(text.slice(from, to)), style: style === PLAIN ? null : style });
  };
  for (const match of text.matchAll(ESCAPES)) {
    add(match.index);
    if (match[1] !== undefined) style = styled(style, match[1]);
    from = match.index + match[0].length;
  }
  add(text.length);
  return found;
}

function visible(text: string): string {
  return text.replace(/\r(?=\n|$)/g, "").replace(HOSTILE, shown);
}

function shown(character: string): string {
  const code = character.codePointAt(0)!;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  if (code >= 0xd800 && code <= 0xdfff) return "\ufffd";
  return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}

/** The style after one SGR sequence. Codes that mean nothing here change nothing. */
function styled(before: Style, parameters: string): Style {
  const style = { ...before };
  const codes = parameters.split(/[;:]/).map((code) => (code === "" ? 0 : Number(code)));
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at]!;
    if (code === 38 || code === 48) {
      const [colour, used] = extended(codes, at + 1);
      if (colour !== null) style[code === 38 ? "fg" : "bg"] = colour;
      at += used;
    } else {
      apply(style, code);
    }
  }
  return Object.entries(style).every(([key, value]) => PLAIN[key as keyof Style] === value) ? PLAIN : style;
}

function apply(style: Style, code: number): void {
  if (code === 0) Object.assign(style, PLAIN);
  else if (code === 1) style.bold = true;
  else if (code === 2) style.dim = true;
  else if (code === 3) style.italic = true;
  else if (code === 4) style.underline = true;
  else if (code === 7) style.inverse = true;
  else if (code === 9) style.strike = true;
  else if (code === 22) style.bold = style.dim = false;
  else if (code === 23) style.italic = false;
  else if (code === 24) style.underline = false;
  else if (code === 27) style.inverse = false;
  else if (code === 29) style.strike = false;
  else if (code === 39) style.fg = null;
  else if (code === 49) style.bg = null;
  else if (code >= 30 && code <= 37) style.fg = code - 30;
  else if (code >= 40 && code <= 47) style.bg = code - 40;
  else if (code >= 90 && code <= 97) style.fg = code - 82;
  else if (code >= 100 && code <= 107) style.bg = code - 92;
}

/** The colour of `5;n` or `2;r;g;b`, and how many codes it took. */
function extended(codes: number[], at: number): [number | Rgb | null, number] {
  if (codes[at] === 5) return [indexed(codes[at + 1]), 2];
  if (codes[at] === 2) {
    const rgb = codes.slice(at + 1, at + 4);
    const right = rgb.length === 3 && rgb.every((part) => part >= 0 && part <= 255);
    return [right ? [rgb[0]!, rgb[1]!, rgb[2]!] : null, 4];
  }
  return [null, 0];
}

function indexed(index: number | undefined): number | Rgb | null {
  if (index === undefined || !(index >= 0 && index <= 255)) return null;
  if (index < 16) return index;
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return [grey, grey, grey];
  }
  const step = (part: number): number => (part === 0 ? 0 : 55 + part * 40);
  const cube = index - 16;
  return [step(Math.floor(cube / 36)), step(Math.floor(cube / 6) % 6), step(cube % 6)];
}
