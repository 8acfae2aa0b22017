import type { Surroundings } from "./surroundings.js";
import type { CredentialSource } from "./types.js";
/** How a credential is shown with the next connection. */
export interface Shown {
    readonly token: string | null;
    readonly ticket: string | null;
}
export declare class Pass {
    #private;
    private readonly surroundings;
    private readonly source;
    /** Sends an `auth` message. */
    private readonly show;
    constructor(surroundings: Surroundings, source: CredentialSource | undefined, 
    /** Sends an `auth` message. */
    show: (token: string) => void);
    get renewable(): boolean;
    /** What to show; null when the source has nothing. Rejects when the source does. */
    take(): Promise<Shown | null>;
    /** The relay has taken it, for so long, and may have given something to come back with. */
    accepted(expiresInSeconds: number | undefined, reconnectToken: string | undefined): void;
    /** The relay doesn't take it, or not any more. */
    refused(): void;
    /** No connection, no renewal. */
    rest(): void;
}
