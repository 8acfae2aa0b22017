import type { Place } from "./address.js";
/** The id to resume after. Without one: how many past records to ask for, or a time. */
export declare class Position {
    #private;
    constructor(lastId: string | undefined, tail: number);
    get lastId(): string | null;
    /** A record has come, or a heartbeat with its place. The newest to come counts, whatever its stamp. */
    move(id: string | null): void;
    /** Served from now on: `now` by this clock, `timestamp` by the relay's. */
    connected(now: number, timestamp: string): void;
    /** So many past records will come through another filter; a connection that is lost before has to ask for them. */
    replayed(count: number): void;
    place(now: number): Place;
}
