import type { Surroundings } from "./surroundings.js";
export declare class Hold {
    #private;
    private readonly surroundings;
    private readonly send;
    /** The user's own wish. */
    asked: boolean;
    constructor(surroundings: Surroundings, send: (message: {
        type: "pause" | "resume";
    }) => void);
    ask(on: boolean): void;
    press(on: boolean): void;
    /** A new connection begins unheld. */
    opened(): void;
    ended(): void;
}
