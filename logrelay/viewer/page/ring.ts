/**
 * The entries that the page holds: records and notices in order of arrival, in bounded memory.
 *
 * Every entry has a number that never changes while it is held; numbers grow towards newer entries. Fields lie in
 * parallel arrays, so that a hundred thousand entries are not a hundred thousand objects, and the oldest go when
 * either bound is reached: LIMIT entries, or CHARACTERS of text (messages and attributes) in all.
 */

import type { LogRecord, Notice, Severity } from "./model.js";
import { NOWHERE, Sources } from "./sources.js";

export const LIMIT = 100_000; // entries
const CHARACTERS = 48 * 1024 * 1024; // of messages, attributes and ids; at most two bytes each
const SLOTS = 131_072; // a power of two above LIMIT, so that a number's slot is a mask away

export const SEVERITIES: readonly Severity[] = ["debug", "info", "warn", "error", null];

const LATE = 1;
const TRUNCATED = 2;
const NOTICE = 4;

/** An entry as the rest of the page sees it, made when it is asked for. */
export interface Entry {
  readonly number: number;
  readonly notice: Notice | null;
  readonly id: string;
  readonly time: number; // milliseconds since 1970
  readonly severity: Severity;
  readonly serviceId: string | null;
  readonly service: string;
  readonly deploymentId: string | null;
  readonly instanceId: string | null;
  readonly message: string;
  readonly attributes: string; // JSON text, "" where there are none
  readonly late: boolean;
  readonly truncated: boolean;
  readonly size: number;
  readonly redacted: number;
}

export class Ring {
  /** The number of the oldest entry held, and the one after the newest. */
  first = 0;
  end = 0;
  private characters = 0;
  private readonly ids: string[] = new Array<string>(SLOTS).fill("");
  private readonly messages: string[] = new Array<string>(SLOTS).fill("");
  private readonly attributes: string[] = new Array<string>(SLOTS).fill("");
  private readonly times = new Float64Array(SLOTS);
  private readonly sources = new Uint32Array(SLOTS);
  private readonly severities = new Uint8Array(SLOTS);
  private readonly flags = new Uint8Array(SLOTS);
  private readonly redactions = new Uint32Array(SLOTS);
  private readonly sizes = new Map<number, number>(); // few records are truncated
  private readonly notices = new Map<number, Notice>(); // and few entries are notices
  private readonly origins = new Sources();

  constructor(
    private readonly limit = LIMIT,
    private readonly charactersLimit = CHARACTERS,
  ) {}

  get length(): number {
    return this.end - this.first;
  }

  /** Whether one more entry would push out the oldest one. */
  get full(): boolean {
    return this.length >= this.limit || this.characters >= this.charactersLimit;
  }

  get text(): number {
    return this.characters;
  }

  has(number: number): boolean {
    return number >= this.first && number < this.end;
  }

  /** Adds a record after the newest one; gives its number. */
  push(record: LogRecord): number {
    this.write(this.end, record);
    this.end += 1;
    this.bound();
    return this.end - 1;
  }

  pushNotice(notice: Notice): number {
    this.writeNotice(this.end, notice);
    this.end += 1;
    this.bound();
    return this.end - 1;
  }

  /** Adds an older record before the oldest one, where there is room; the newest are never given up for it. */
  unshift(record: LogRecord): boolean {
    if (this.full) return false;
    this.first -= 1;
    this.write(this.first, record);
    return true;
  }

  unshiftNotice(notice: Notice): boolean {
    if (this.full) return false;
    this.first -= 1;
    this.writeNotice(this.first, notice);
    return true;
  }

  clear(): void {
    while (this.first < this.end) this.drop();
  }

  entry(number: number): Entry {
    const slot = number & (SLOTS - 1);
    const flags = this.flags[slot]!;
    const source = this.origins.at(this.sources[slot]!);
    return {
      number,
      notice: flags & NOTICE ? (this.notices.get(number) ?? null) : null,
      id: this.ids[slot]!,
      time: this.times[slot]!,
      severity: SEVERITIES[this.severities[slot]!]!,
      serviceId: source?.serviceId ?? null,
      service: source?.service ?? "",
      deploymentId: source?.deploymentId ?? null,
      instanceId: source?.instanceId ?? null,
      message: this.messages[slot]!,
      attributes: this.attributes[slot]!,
      late: (flags & LATE) !== 0,
      truncated: (flags & TRUNCATED) !== 0,
      size: this.sizes.get(number) ?? 0,
      redacted: this.redactions[slot]!,
    };
  }

  isNotice(number: number): boolean {
    return (this.flags[number & (SLOTS - 1)]! & NOTICE) !== 0;
  }

  message(number: number): string {
    return this.messages[number & (SLOTS - 1)]!;
  }

  attributesOf(number: number): string {
    return this.attributes[number & (SLOTS - 1)]!;
  }

  id(number: number): string {
    return this.ids[number & (SLOTS - 1)]!;
  }

  time(number: number): number {
    return this.times[number & (SLOTS - 1)]!;
  }

  /** An index into SEVERITIES. */
  severity(number: number): number {
    return this.severities[number & (SLOTS - 1)]!;
  }

  /** A number that is the same for records of one instance of one deployment. */
  source(number: number): number {
    return this.sources[number & (SLOTS - 1)]!;
  }

  /** How many records are held of each service, by its name. */
  counts(): Map<string, number> {
    return this.origins.counts();
  }

  /** How many notices of these kinds are held. */
  countNotices(kinds: readonly string[]): number {
    let held = 0;
    for (const { kind } of this.notices.values()) if (kinds.includes(kind)) held += 1;
    return held;
  }

  /** The newest notice of one of these kinds that is held, or null. */
  noticed(kinds: readonly string[]): number | null {
    let newest: number | null = null;
    for (const [number, { kind }] of this.notices) {
      if (kinds.includes(kind) && number > (newest ?? -Infinity)) newest = number;
    }
    return newest;
  }

  /** The number of the record with this id, or null; looked for from the newest. */
  find(id: string): number | null {
    for (let number = this.end - 1; number >= this.first; number -= 1) {
      if (this.id(number) === id) return number;
    }
    return null;
  }

  /** The first entry stamped at or after a time, or the newest; stamps need not be in order. */
  at(time: number): number {
    for (let number = this.first; number < this.end; number += 1) {
      if (this.time(number) >= time && !this.isNotice(number)) return number;
    }
    return this.end - 1;
  }

  /** The id of the oldest or the newest record held, or null. */
  oldestId(): string | null {
    for (let number = this.first; number < this.end; number += 1) {
      if (!this.isNotice(number)) return this.id(number);
    }
    return null;
  }

  private write(number: number, record: LogRecord): void {
    const slot = number & (SLOTS - 1);
    const attributes = textOf(record.attributes);
    this.ids[slot] = record.id;
    this.messages[slot] = record.message;
    this.attributes[slot] = attributes;
    this.times[slot] = Date.parse(record.id.slice(0, 23) + "Z");
    this.severities[slot] = Math.max(0, SEVERITIES.indexOf(record.severity));
    this.sources[slot] = this.origins.take(record);
    this.redactions[slot] = record.redacted ?? 0;
    this.flags[slot] = (record.late ? LATE : 0) | (record.truncated ? TRUNCATED : 0);
    if (record.truncated) this.sizes.set(number, record.size ?? 0);
    this.characters += record.id.length + record.message.length + attributes.length;
  }

  private writeNotice(number: number, notice: Notice): void {
    const slot = number & (SLOTS - 1);
    this.ids[slot] = this.messages[slot] = this.attributes[slot] = "";
    this.times[slot] = notice.time;
    this.severities[slot] = SEVERITIES.length - 1;
    this.flags[slot] = NOTICE;
    this.redactions[slot] = 0;
    this.sources[slot] = NOWHERE;
    this.notices.set(number, notice);
  }

  private bound(): void {
    while (this.length > this.limit || (this.characters > this.charactersLimit && this.length > 1)) {
      this.drop();
    }
  }

  private drop(): void {
    const number = this.first;
    const slot = number & (SLOTS - 1);
    this.characters -= this.ids[slot]!.length + this.messages[slot]!.length + this.attributes[slot]!.length;
    // What was held is let go at once, not when the slot is next written.
    this.ids[slot] = this.messages[slot] = this.attributes[slot] = "";
    if (this.flags[slot]! & TRUNCATED) this.sizes.delete(number);
    if (this.flags[slot]! & NOTICE) this.notices.delete(number);
    else this.origins.release(this.sources[slot]!);
    this.first += 1;
  }
}

function textOf(attributes: Record<string, unknown> | null | undefined): string {
  if (!attributes) return "";
  const text = JSON.stringify(attributes);
  return text === "{}" ? "" : text;
}
