import type { ErrorMessage, Filter, FilterCommand } from "./wire.js";
import type { FilterWish } from "./types.js";
/** Why a filter didn't take effect. `message` is the relay's own sentence where the relay refused it. */
export declare class FilterError extends Error {
    /** The relay's code, or `superseded` by a later change, or `closed`. */
    readonly code: ErrorMessage["code"] | "superseded" | "closed";
    readonly name = "FilterError";
    constructor(
    /** The relay's code, or `superseded` by a later change, or `closed`. */
    code: ErrorMessage["code"] | "superseded" | "closed", message: string);
}
export declare class Wishes {
    #private;
    /** The last filter that the relay has taken, for the address of the next connection. */
    accepted: FilterWish;
    constructor(filter: FilterWish);
    /** Wants another filter; nothing is sent yet. Only the latest of those that weren't sent is kept. */
    want(filter: FilterWish, replay: number): Promise<Filter>;
    /** The message to send now, if there is one; one at a time, so that the latest wish wins. */
    next(): FilterCommand | null;
    /** The relay has echoed a filter; how much of the past it sends through it. */
    taken(echoed: Filter): number;
    /** The relay has sent an error; whether it was the answer to a filter. */
    refused(error: ErrorMessage): boolean;
    /** The connection is gone, and with it the answers: what was asked for is asked for again. */
    disconnected(): void;
    closed(): void;
}
