import type { ErrorMessage } from "./wire.js";
/**
 * - `stop`: never come back. `soon`: after a short, growing pause. `later`: after a long, growing pause.
 * - `renew`: with a new credential, or not at all.
 */
export type Return = "stop" | "soon" | "later" | "renew";
/** Decides whether and how to come back. Codes that this version doesn't know go by what the error says. */
export declare function returning(code: number, error: ErrorMessage | null): Return;
/** A sentence for people. */
export declare function sentence(code: number, reason: string, error: ErrorMessage | null): string;
