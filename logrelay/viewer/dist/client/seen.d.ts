/** Remembers at least the last `kept` keys, and at most twice as many. */
export declare class Seen {
    #private;
    constructor(kept: number);
    /** Notes a key; whether it is a new one. */
    add(key: string): boolean;
    clear(): void;
}
