/**
 * As much of a WebSocket as is used; the browser's has it, and so has npm's `ws`. Each has types of its own for events,
 * to which only what takes `never` is open: messages have `data`, closes `code` and `reason`.
 */
export interface SocketLike {
    onopen: ((event: never) => void) | null;
    onmessage: ((event: never) => void) | null;
    onclose: ((event: never) => void) | null;
    onerror: ((event: never) => void) | null;
    send(text: string): void;
    close(code?: number): void;
}
export type SocketConstructor = new (url: string, protocols?: string[]) => SocketLike;
/** Whether the page is being looked at. */
export interface Visibility {
    readonly hidden: boolean;
    /** Calls back when that changes, or the network is there again; returns what ends the listening. */
    listen(changed: () => void): () => void;
}
export interface Surroundings {
    readonly WebSocket: SocketConstructor;
    /** Milliseconds since 1970. */
    readonly now: () => number;
    /** Calls back once after so many milliseconds; returns what takes that back. */
    readonly later: (call: () => void, milliseconds: number) => () => void;
    /** Calls back before the next frame is drawn; returns what takes that back. */
    readonly frame: (call: () => void) => () => void;
    /** From 0 to 1. */
    readonly random: () => number;
    readonly visibility: Visibility;
}
/** What was given, and the platform's own for the rest. Throws where there is no WebSocket at all. */
export declare function surroundings(given?: Partial<Surroundings>): Surroundings;
