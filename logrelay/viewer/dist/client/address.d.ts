import type { FilterWish } from "./types.js";
/** The place in the stream to go on from. */
export type Place = {
    readonly lastId: string;
} | {
    readonly lastTimestamp: string;
} | {
    readonly tail: number;
};
export interface Asked {
    readonly base: string;
    readonly environmentId: string;
    readonly filter: FilterWish;
    readonly place: Place;
    readonly ticket: string | null;
}
/** The stream's address. The base may be relative to the page, and its scheme http or ws. */
export declare function address(asked: Asked): string;
/** A browser can't send headers with a WebSocket, but subprotocols; a token stays out of the address that way. */
export declare function subprotocols(token: string | null): string[] | undefined;
