/** Names that fit what was typed of them, best first, by fuzzysort: abbreviations count, and words in any order. */

import { go } from "fuzzysort";

const LEAST = 0.3; // of 1: letters may lie anywhere in the name, but all of them must be there, in order

/** A name as parts, of which those that were typed are told from the others. */
export interface Match {
  name: string;
  parts: { text: string; typed: boolean }[];
}

/** The best so many of the names; the first ones where nothing was typed. */
export function ranked(names: readonly string[], typed: string, most: number): Match[] {
  if (typed.trim() === "")
    return names.slice(0, most).map((name) => ({ name, parts: [{ text: name, typed: false }] }));
  return go(typed, names, { limit: most, threshold: LEAST }).map((found) => ({
    name: found.target,
    parts: found
      .highlight((text) => ({ text, typed: true }))
      .map((part) => (typeof part === "string" ? { text: part, typed: false } : part))
      .filter((part) => part.text !== ""),
  }));
}
