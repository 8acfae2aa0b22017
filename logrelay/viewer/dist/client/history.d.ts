import type { ErrorMessage, HistoryCommand, HistoryMessage, LogRecord } from "./wire.js";
/** `limit` (500 by default) counts the records of all pages; what of the filter is left out is the stream's. */
export type HistoryWish = Omit<HistoryCommand, "type" | "request">;
/** Newest first. `scannedTo` says how far back was looked, also where nothing matched; `gaps` what is missing there. */
export interface HistoryPage {
    readonly records: readonly LogRecord[];
    readonly scannedTo: HistoryMessage["scannedTo"];
    readonly gaps: NonNullable<HistoryMessage["gaps"]>;
    /** Whether this is the last page. */
    readonly done: boolean;
    /**
     * Of the last page, why it is the last although there may be more; null where nothing older exists.
     * `limit`: as many as were wanted have come, or the relay's budget is spent for now. `outage`: Railway couldn't be asked.
     * `retention`: Railway keeps nothing older.
     */
    readonly reason: NonNullable<HistoryMessage["reason"]> | null;
    /** What to pass as `before` to go on after this page; null where nothing more can be had. */
    readonly next: string | null;
}
/** Why a search of the past ended: the relay's sentence, or that the stream is closed. */
export declare class HistoryError extends Error {
    readonly code: ErrorMessage["code"] | "closed";
    readonly name = "HistoryError";
    constructor(code: ErrorMessage["code"] | "closed", message: string);
}
/** All searches of one stream. They outlive connections: what is left of each is asked for again. */
export declare class Searches {
    #private;
    private readonly send;
    constructor(send: (message: object) => void);
    start(wish: HistoryWish): AsyncIterableIterator<HistoryPage>;
    /** There is a connection. */
    connected(): void;
    /** The connection is gone, and with it the answers. */
    disconnected(): void;
    /** A `history` message has come. */
    answered(message: HistoryMessage): void;
    /** An error that names its request. */
    refused({ request, code, message }: ErrorMessage): void;
    closed(): void;
}
