import type { Board } from "./board.js";
import type { Connection } from "./connection.js";
import type { Delivery } from "./delivery.js";
import type { Searches } from "./history.js";
import type { Hold } from "./hold.js";
import type { Pass } from "./pass.js";
import type { Position } from "./position.js";
import type { Retries } from "./retries.js";
import type { Surroundings } from "./surroundings.js";
import type { Entry } from "./types.js";
import type { ErrorMessage } from "./wire.js";
import type { Wishes } from "./wishes.js";
/** What a stream is made of, and outlives its connections. */
export interface Parts {
    readonly around: Surroundings;
    readonly board: Board;
    readonly delivery: Delivery;
    readonly hold: Hold;
    readonly pass: Pass;
    readonly position: Position;
    readonly retries: Retries;
    readonly searches: Searches;
    readonly wishes: Wishes;
}
/** Takes what comes on one connection after the other. */
export declare class Reader {
    #private;
    connection: Connection | null;
    /** Whether `connected` has come on this connection. */
    served: boolean;
    /** The last message that came, if it was an error: the reason of a close. */
    error: ErrorMessage | null;
    constructor(parts: Parts);
    /** The connection is no more; whether it had been served. */
    left(): boolean;
    /** A message has come. */
    message(body: Readonly<Record<string, unknown>>): void;
    /** Something has come that can't be read; whether to come back for what was in it. The second time, it is a gap. */
    unreadable(): boolean;
    /** Nothing is sent before `connected`: what is wanted is asked for then. */
    send(message: object): void;
    /** Asks for the filter that is wanted, if one is. */
    sendWish(): void;
    /** Passes entries on. */
    push(entries: readonly Entry[]): void;
}
