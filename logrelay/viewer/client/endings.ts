// What a close means for coming back: section 4 of the protocol as a table.
import type { ErrorMessage } from "./wire.js";

/**
 * - `stop`: never come back. `soon`: after a short, growing pause. `later`: after a long, growing pause.
 * - `renew`: with a new credential, or not at all.
 */
export type Return = "stop" | "soon" | "later" | "renew";

const RETURNS: ReadonlyMap<number, Return> = new Map([
  [1003, "stop"],
  [1007, "stop"],
  [1008, "later"],
  [1009, "stop"],
  [4400, "stop"],
  [4401, "renew"],
  [4403, "stop"],
  [4404, "stop"],
  [4429, "later"],
  [4502, "later"],
]);

const SENTENCES: ReadonlyMap<number, string> = new Map([
  [1000, "the connection was closed"],
  [1001, "the relay shuts down"],
  [1003, "the relay can't use what this client sends"],
  [1006, "the connection was lost, or refused"],
  [1007, "the relay can't read what this client sends"],
  [1008, "the relay was sent too many messages"],
  [1009, "the relay was sent a message that is too long"],
  [1011, "the relay failed"],
  [1012, "the relay restarts"],
  [4400, "the relay doesn't understand what it was asked for"],
  [4401, "the credential is missing, not valid or has expired"],
  [4403, "this environment may not be streamed"],
  [4404, "there is no such environment"],
  [4408, "this client was too slow"],
  [4429, "there are too many connections"],
  [4502, "Railway refuses the relay"],
]);

/** Decides whether and how to come back. Codes that this version doesn't know go by what the error says. */
export function returning(code: number, error: ErrorMessage | null): Return {
  const known = RETURNS.get(code);
  if (known !== undefined) return known;
  const foreign = code >= 4000 && !SENTENCES.has(code);
  return foreign && error?.retryable === false ? "stop" : "soon";
}

/** A sentence for people. */
export function sentence(code: number, reason: string, error: ErrorMessage | null): string {
  return error?.message || reason || SENTENCES.get(code) || `the connection was closed with code ${code}`;
}
