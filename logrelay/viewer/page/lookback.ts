/** Looks for one record among what is older. */

import type { LogStream } from "../client/index.js";
import type { LogRecord } from "./model.js";
import { justAfter } from "./time.js";

const LOOKS = [
  [0, 50],
  [1000, 1000],
  [10_000, 5000],
] as const; // milliseconds after a record's stamp, and how many records are looked at for it
const STAMP = 30; // characters of an id that are its stamp

/**
 * The record with this id, as long as it is wanted. It may have arrived after records with later stamps, so those are
 * looked at, too.
 */
export async function recordFrom(
  stream: Pick<LogStream, "history">,
  id: string,
  wanted: () => boolean,
): Promise<LogRecord | null> {
  for (const [milliseconds, limit] of LOOKS) {
    for await (const page of stream.history({ before: justAfter(id, milliseconds), limit })) {
      const found = page.records.find((record) => record.id === id);
      if (found || !wanted()) return found ?? null;
      // The filter may leave it out. Further back than its stamp nothing is to be found, though much to be looked at.
      if (page.scannedTo !== null && page.scannedTo < id.slice(0, STAMP)) break;
    }
  }
  return null;
}
