import type { ErrorMessage, HeartbeatMessage, HistoryMessage, LogRecord, StatusMessage } from "./wire.js";
type Body = Readonly<Record<string, unknown>>;
export type Incoming = {
    readonly is: "records";
    readonly records: readonly LogRecord[];
} | {
    readonly is: "status";
    readonly status: StatusMessage;
} | {
    readonly is: "heartbeat";
    readonly heartbeat: HeartbeatMessage;
} | {
    readonly is: "error";
    readonly error: ErrorMessage;
} | {
    readonly is: "history";
    readonly history: HistoryMessage;
} | {
    readonly is: "unknown";
};
/** Types and names that this version doesn't know are additions to the protocol, and no fault. */
export declare function incoming(body: Body): Incoming;
export {};
