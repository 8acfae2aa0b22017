import type { Entry } from "./types.js";
import type { Surroundings } from "./surroundings.js";
export interface DeliveryLimits {
    readonly highWater: number;
    readonly lowWater: number;
    /** The most entries that are handed over at once. */
    readonly batch: number;
    readonly immediate: boolean;
}
/** What the delivery tells its owner. */
export interface DeliveryOwner {
    /** Hands a batch to the listeners. */
    handOver(entries: readonly Entry[]): void;
    /** Whether any listener wants entries. */
    listening(): boolean;
    /** There are too many entries (true), or few enough again. */
    pressed(on: boolean): void;
}
/** Gives every taker each entry once, in order. The slowest taker sets the pace; a hidden page takes nothing. */
export declare class Delivery {
    #private;
    private readonly surroundings;
    private readonly limits;
    private readonly owner;
    constructor(surroundings: Surroundings, limits: DeliveryLimits, owner: DeliveryOwner);
    /** Entries that haven't been taken yet. */
    get depth(): number;
    /** Whether everyone has taken what was handed over last. */
    get taken(): boolean;
    push(entries: readonly Entry[]): void;
    /** Something has changed that may let entries go on: a new taker, or a page that is looked at again. */
    wake(): void;
    /** No more will come; takers get what waits, and then the end, which is an error if one is given. */
    end(error: Error | null): void;
    /** Nobody wants what waits any more. */
    discard(): void;
    /** Batches as an async iterator; what was handed over before isn't among them. */
    batches(): AsyncIterableIterator<readonly Entry[]>;
}
