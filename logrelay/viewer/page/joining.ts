/**
 * Joins what a look back brings with the stream that goes on from its place, so that nothing comes twice or in another
 * order: the stream waits for the look back, and either may repeat what the other has brought.
 */

import type { Entry } from "../client/index.js";
import type { LogRecord } from "./model.js";

const MOST = 20_000; // entries of the stream that wait for a look back

export class Joining {
  private waiting: Entry[] | null = null; // what the stream brings until the look back is over
  private looking = false;
  private joined = true; // whether the stream has come to what no look back brings
  private readonly brought = new Set<string>(); // ids, by the look back
  private oldest = ""; // of them
  private newest = ""; // of them, or the place from which the stream goes on
  private readonly early = new Set<string>(); // ids that the stream brought before the look back

  /** A look back from a record begins; the stream, which may begin before the record, must not stand above it. */
  begin(id: string): void {
    this.clear();
    this.newest = id;
    this.looking = true;
    this.joined = false;
    this.waiting = [];
  }

  /** What of the stream's can be shown now; the rest waits, but so much of it must not cost the present. */
  take(entries: readonly Entry[]): readonly Entry[] {
    if (!this.waiting) return entries;
    for (const entry of entries) this.waiting.push(entry);
    // With another filter everything comes anew, and nobody waits for what the one before lets through.
    const anew = entries.some((entry) => entry.kind === "notice" && entry.notice === "filter");
    return anew || this.waiting.length > MOST ? this.shown() : [];
  }

  /** The look back takes too long to be waited for: what has waited. */
  shown(): readonly Entry[] {
    const waiting = this.waiting ?? [];
    this.waiting = null;
    return waiting;
  }

  /** The look back has come to its end. */
  over(): readonly Entry[] {
    this.looking = false;
    this.early.clear();
    return this.shown();
  }

  /** Whether the stream gives again what the look back has brought, or what lies further back than that. */
  repeats({ id, late }: LogRecord): boolean {
    if (this.joined) return false;
    if (id > this.newest) {
      this.joined = true; // what is late from now on is no repeat
      this.brought.clear();
      return false;
    }
    if (this.brought.has(id)) return true;
    if (id < this.oldest && !late) return true; // what is late has come just now
    if (this.looking) this.early.add(id);
    return false;
  }

  /** Those of a look back's records that the stream has not brought already. */
  fresh(records: readonly LogRecord[]): readonly LogRecord[] {
    if (!this.looking) return records;
    const fresh = records.filter(({ id }) => !this.early.has(id));
    if (this.joined) return fresh;
    for (const { id } of fresh) {
      this.brought.add(id);
      if (id < this.oldest || this.oldest === "") this.oldest = id;
      if (id > this.newest) this.newest = id;
    }
    return fresh;
  }

  clear(): void {
    this.waiting = null;
    this.looking = false;
    this.joined = true;
    this.oldest = "";
    this.brought.clear();
    this.early.clear();
  }
}
