import { type Return } from "./endings.js";
import type { Surroundings } from "./surroundings.js";
import type { ErrorMessage } from "./wire.js";
export declare class Retries {
    #private;
    private readonly surroundings;
    private readonly connect;
    /** Connections that ended since data came last. */
    attempt: number;
    constructor(surroundings: Surroundings, connect: () => void);
    /** Data has come. */
    succeeded(): void;
    /** The relay has said when to come back from its restart. */
    draining(seconds: number): void;
    /** Plans the next attempt; its time in milliseconds since 1970. */
    plan(how: Return, error: ErrorMessage | null): number;
    /** Somebody looks, or asks: connect now, unless the relay has asked for patience. */
    hurry(): void;
    cancel(): void;
}
