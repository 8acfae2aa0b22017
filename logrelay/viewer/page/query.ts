/**
 * What is typed into the filter bar, and what stands in the page's address.
 *
 * The relay understands services, a lowest severity, and words and "phrases" with `-`. The bar takes `@service:` and
 * `@level:` in the text as well, and `@name:value` for attributes, which this page matches itself. What is taken out
 * of the text leaves blanks, so that the places in the relay's error sentences are places in the text as typed.
 */

import type { Severity } from "./model.js";

export interface AttributeTerm {
  path: string; // "user.id"
  value: string;
  absent: boolean;
}

export interface Typed {
  search: string;
  services: string[];
  severity: Severity;
  attributes: AttributeTerm[];
}

const LEVELS: Record<string, Severity> = {
  debug: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  err: "error",
};
const TERM = /(?<=^|\s)(-?)@([\w.[\]-]+):(?:"((?:[^"\\]|\\.)*)"|(\S+))(?=\s|$)/g;

/** Takes `@…:…` terms out of the text; all that is left is the relay's. */
export function typed(text: string): Typed {
  const services: string[] = [];
  const attributes: AttributeTerm[] = [];
  let severity: Severity = null;
  const outside = unquoted(text);
  const search = text.replace(
    TERM,
    (whole: string, minus: string, name: string, phrase?: string, word?: string, ...more) => {
      const at = (more as unknown[]).find((value): value is number => typeof value === "number")!;
      if (!outside(at)) return whole;
      const value = phrase !== undefined ? phrase.replace(/\\(.)/g, "$1") : word!;
      const level = LEVELS[value.toLowerCase()];
      if (name === "service" && !minus) services.push(value);
      else if (name === "level" && !minus && level !== undefined) severity = level;
      else if (name === "level" || name === "service") return whole;
      else attributes.push({ path: name, value, absent: minus === "-" });
      return " ".repeat(whole.length);
    },
  );
  return { search: search.trimEnd(), services, severity, attributes };
}

/** Whether a place of the text lies outside of all quotes. */
function unquoted(text: string): (at: number) => boolean {
  const inside = new Uint8Array(text.length + 1);
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    inside[at] = quoted ? 1 : 0;
    if (text[at] === "\\" && quoted) inside[(at += 1)] = 1;
    else if (text[at] === '"') quoted = !quoted;
  }
  return (at) => inside[at] === 0;
}

/** Whether an attribute's path can be written as a term of the text. */
export function askable(path: string): boolean {
  return /^[\w.[\]-]+$/.test(path);
}

/** A value as a term of the text: quoted where it has to be. */
export function quoted(value: string): string {
  return /^[^\s"()@/-][^\s"()]*$/.test(value) && value !== "AND" && value !== "OR" ? value : phrase(value);
}

function phrase(value: string): string {
  return `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

export function attributeTerm(term: AttributeTerm): string {
  const value = /^[^\s"\\]+$/.test(term.value) ? term.value : phrase(term.value);
  return `${term.absent ? "-" : ""}@${term.path}:${value}`;
}

/** Whether a record's attributes (as JSON text) satisfy all terms. */
export function matches(attributes: string, terms: readonly AttributeTerm[]): boolean {
  if (terms.length === 0) return true;
  let values: unknown = {};
  try {
    values = attributes ? JSON.parse(attributes) : {};
  } catch {
    return false; // never so for what the ring holds
  }
  return terms.every((term) => has(values, term) !== term.absent);
}

function has(values: unknown, term: AttributeTerm): boolean {
  const found = reach(values, term.path);
  const list = Array.isArray(found) ? found : [found];
  return list.some(
    (value) => value !== undefined && valueText(value).toLowerCase() === term.value.toLowerCase(),
  );
}

/** The value at a path such as `user.id` or `tags[0]`; a key that has dots itself is found as well. */
export function reach(values: unknown, path: string): unknown {
  if (values === null || typeof values !== "object") return undefined;
  if (Object.hasOwn(values, path)) return (values as Record<string, unknown>)[path];
  let found: unknown = values;
  for (const step of path.split(/[.[\]]+/).filter(Boolean)) {
    if (found === null || typeof found !== "object" || !Object.hasOwn(found, step)) return undefined;
    found = (found as Record<string, unknown>)[step];
  }
  return found;
}

export function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Where the relay's sentence says that a fault is: "… at 7" counts from 1. Gives an index, or null. */
export function faultPlace(sentence: string): number | null {
  const match = /\bat (\d+)\b/.exec(sentence);
  return match ? Number(match[1]) - 1 : null;
}

/** Positive words and phrases of a search, to show where a line matches. */
export function needles(search: string): string[] {
  const found: string[] = [];
  for (const match of search.matchAll(/(-?)(?:"((?:[^"\\]|\\.)*)("|$)|([^\s"]+))/g)) {
    const text = match[2] !== undefined ? match[2].replace(/\\(["\\])/g, "$1") : match[4]!;
    if (match[1] !== "-" && text) found.push(text);
  }
  return found;
}

/** What an address can say about a view; nothing of it is a credential. */
export interface View {
  services: string[];
  q: string;
  severity: Severity;
  find: string;
  at: string; // a record's id
}

export function viewOf(query: string): View {
  const given = new URLSearchParams(query);
  const severity = LEVELS[given.get("severity") ?? ""] ?? null;
  const services = given
    .getAll("services")
    .flatMap((names) => names.split(","))
    .filter(Boolean);
  return {
    services,
    q: given.get("q") ?? "",
    severity,
    find: given.get("find") ?? "",
    at: given.get("at") ?? "",
  };
}

export function queryOf(view: View): string {
  const query = new URLSearchParams();
  for (const name of view.services) query.append("services", name);
  if (view.q) query.set("q", view.q);
  if (view.severity) query.set("severity", view.severity);
  if (view.find) query.set("find", view.find);
  if (view.at) query.set("at", view.at);
  const text = query.toString();
  return text ? `?${text}` : "";
}
