/** Where a text occurs in lines: highlights without filtering. Case counts no more than in the relay's filter. */

export type Span = readonly [from: number, to: number];

/** One or several needles as one expression, or null for none. Nothing of a needle has a special meaning. */
export function finder(needles: readonly string[]): RegExp | null {
  const wanted = needles.filter((needle) => needle.trim() !== "");
  if (wanted.length === 0) return null;
  return new RegExp(wanted.map((needle) => needle.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&")).join("|"), "gi");
}

/** All places where it occurs, at most so many: a line of a million letters is still one line. */
export function spans(text: string, expression: RegExp | null, most = 200): Span[] {
  if (expression === null) return [];
  const found: Span[] = [];
  expression.lastIndex = 0;
  for (let match = expression.exec(text); match && found.length < most; match = expression.exec(text)) {
    if (match[0] === "") break;
    found.push([match.index, match.index + match[0].length]);
  }
  return found;
}

/** The next number in a direction for which `test` holds, or null. */
export function next(
  from: number,
  step: 1 | -1,
  first: number,
  end: number,
  test: (number: number) => boolean,
): number | null {
  for (let number = from + step; number >= first && number < end; number += step) {
    if (test(number)) return number;
  }
  return null;
}
