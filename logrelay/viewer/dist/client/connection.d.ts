import type { Surroundings } from "./surroundings.js";
/** What a connection tells its owner. Nothing comes after `ended`. */
export interface ConnectionOwner {
    opened(): void;
    message(body: Readonly<Record<string, unknown>>): void;
    /** Something came that isn't a whole JSON object. */
    unreadable(): void;
    ended(code: number, reason: string): void;
}
export declare class Connection {
    #private;
    private readonly surroundings;
    private readonly owner;
    constructor(surroundings: Surroundings, owner: ConnectionOwner, url: string, protocols: string[] | undefined);
    /** Silence is measured against the relay's own heartbeats where those come more rarely than usual. */
    expectHeartbeats(seconds: number): void;
    /** Sends a message, in order, later if there were many just now; unless the connection ends before. */
    send(message: object): void;
    /** Looks for a silence that nobody could notice while the machine or the page slept. */
    look(): void;
    /** Leaves without waiting for the peer, who may not be there any more. Nothing is told of it. */
    drop(): void;
}
