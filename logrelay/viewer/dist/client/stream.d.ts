import { type HistoryPage, type HistoryWish } from "./history.js";
import type { Ending, Entry, FilterWish, StreamEvents, StreamOptions, StreamState } from "./types.js";
import type { Filter } from "./wire.js";
/** The stream is over because coming back would be of no use; `ending` says why. */
export declare class StreamEnded extends Error {
    readonly ending: Ending;
    readonly name = "StreamEnded";
    constructor(ending: Ending);
}
/**
 * Connects at once and stays connected until `close()`, or until the relay says that it is of no use.
 * Entries go to listeners and iterators; while there are none, they wait.
 */
export declare class LogStream implements AsyncIterable<Entry> {
    #private;
    /** Throws a TypeError for a base that is no address, and an Error where there is no WebSocket. */
    constructor(options: StreamOptions);
    /** A snapshot; the same object until something changes. */
    get state(): StreamState;
    /** The place after the batches that were taken, to go on from after a reload of the page; null while there is none. */
    get lastId(): string | null;
    /** Listens; returns what ends that. */
    on<Name extends keyof StreamEvents>(name: Name, listener: (event: StreamEvents[Name]) => void): () => void;
    /** Entries one by one. Throws StreamEnded after the last when the relay ended the stream for good. */
    [Symbol.asyncIterator](): AsyncGenerator<Entry, undefined>;
    /** Entries as they are handed over. Throws like the iterator over single ones. */
    batches(): AsyncIterableIterator<readonly Entry[]>;
    /**
     * Replaces the filter without a reconnect, and re-reads so many matching records of the past through it.
     * Resolves with the filter as the relay understood it; rejects with a FilterError, and the old one stays.
     */
    setFilter(filter: FilterWish, options?: {
        readonly replay?: number;
    }): Promise<Filter>;
    /** Holds the position; nothing is lost as long as the relay's history reaches back to it. */
    pause(): void;
    /** Goes on from the same record. */
    resume(): void;
    /** Older records, newest first, in pages. Leaving the loop stops the search. Throws HistoryError. */
    history(wish?: HistoryWish): AsyncIterableIterator<HistoryPage>;
    /** Doesn't wait for the next attempt to connect, unless it was the relay that asked for it. */
    reconnect(): void;
    /** Ends the stream; what waits is dropped. */
    close(): void;
}
