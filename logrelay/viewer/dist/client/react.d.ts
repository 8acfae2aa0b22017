import { type Entry, LogStream, type StreamOptions, type StreamState } from "./index.js";
export interface LogStreamView {
    /** The newest entries, oldest first; a new array whenever some have come. */
    readonly entries: readonly Entry[];
    /** Null until the component is mounted, and on a server. */
    readonly state: StreamState | null;
    /** For filters, pauses and older records; null until the component is mounted. */
    readonly stream: LogStream | null;
}
export type LogStreamHookOptions = StreamOptions & {
    /** Entries to keep (default 1,000); older ones go. */
    readonly keep?: number;
};
/**
 * Follows one environment's logs while the component is mounted. Another base or environment is another stream; of the
 * other options those of the first render count. `stream.setFilter` changes the filter without a reconnect.
 */
export declare function useLogStream(options: LogStreamHookOptions): LogStreamView;
