import type { Surroundings } from "./surroundings.js";
import type { StreamEvents, StreamState } from "./types.js";
/** Keeps the snapshot of the state. A change of the phase is told at once, others with the next `publish`. */
export declare class Board {
    #private;
    private readonly surroundings;
    constructor(surroundings: Surroundings, environmentId: string);
    get state(): StreamState;
    get listening(): boolean;
    on<Name extends keyof StreamEvents>(name: Name, listener: (event: StreamEvents[Name]) => void): () => void;
    /** Tells listeners; one that throws keeps nobody else from being told, and its error isn't swallowed. */
    emit<Name extends keyof StreamEvents>(name: Name, event: StreamEvents[Name]): void;
    set(changes: Partial<Omit<StreamState, "since">>): void;
    publish(): void;
}
