/**
 * The relay's own stamps always have nine fraction digits.
 */
export type Timestamp = string;
/**
 * Made of the record's content, the same after every restart. As text it sorts by time first.
 */
export type RecordId = string;
export type OptionalTimestamp = Timestamp | null;
export type OptionalRecordId = RecordId | null;
export type OptionalText = string | null;
export type SeverityName = "debug" | "info" | "warn" | "error";
export type Severity = "debug" | "info" | "warn" | "error" | null;
export type Resume = null | {
    outcome: "exact" | "backfilled" | "none";
} | {
    outcome: "partial";
    from: Timestamp;
    to: Timestamp;
    reason: "retention" | "limit" | "unknown_id";
};
export type StatusMessage = {
    type: "status";
    message: "connecting";
    timestamp: Timestamp;
    data: {
        environmentId?: string;
        upstream?: Upstream;
    };
} | {
    type: "status";
    message: "connected";
    timestamp: Timestamp;
    data: Connected;
} | {
    type: "status";
    message: "reconnecting";
    timestamp: Timestamp;
    data: {
        reason: string;
    };
} | {
    type: "status";
    message: "live";
    timestamp: Timestamp;
    data: {
        backfilled: number;
    };
} | {
    type: "status";
    message: "gap";
    timestamp: Timestamp;
    data: Gap;
} | {
    type: "status";
    message: "lost";
    timestamp: Timestamp;
    data: Lost;
} | {
    type: "status";
    message: "filter";
    timestamp: Timestamp;
    data: {
        filter: Filter;
    };
} | {
    type: "status";
    message: "paused";
    timestamp: Timestamp;
    data: Place;
} | {
    type: "status";
    message: "resumed";
    timestamp: Timestamp;
    data: Place;
} | {
    type: "status";
    message: "draining";
    timestamp: Timestamp;
    data: {
        reconnectInSeconds: number;
    };
} | {
    type: "status";
    message: "authenticated";
    timestamp: Timestamp;
    data: {
        expiresInSeconds?: number;
        reconnectToken?: string;
    };
};
export interface LogRecord {
    id: RecordId;
    /**
     * as Railway gave it, to the nanosecond
     */
    timestamp: string;
    severity: Severity;
    message: string;
    serviceId: OptionalText;
    serviceName: OptionalText;
    deploymentId: OptionalText;
    instanceId: OptionalText;
    /**
     * real JSON values
     */
    attributes: {
        [k: string]: unknown;
    };
    /**
     * stamped before a record that had arrived earlier
     */
    late?: true;
    /**
     * cut at 64 KiB; `size` has the bytes of the original message
     */
    truncated?: true;
    size?: number;
    /**
     * how many secrets were replaced by `[redacted:<rule>]`
     */
    redacted?: number;
}
export interface LogMessage {
    type: "log";
    data: LogRecord;
}
export interface LogsMessage {
    type: "logs";
    data: LogRecord[];
}
export interface Upstream {
    state: "connecting" | "live" | "reconnecting" | "degraded" | "refused";
    attempt?: number;
    retryAt?: Timestamp;
    lastFrameAt?: Timestamp;
    /**
     * A hole that is being fetched; `from` to `to` is still missing.
     */
    backfill?: {
        fetched: number;
        from: Timestamp;
        to: Timestamp;
    };
}
export interface Filter {
    services: string[];
    search: string;
    severity: Severity;
    unknownServices?: string[];
}
export interface Connected {
    environmentId: string;
    environmentName: OptionalText;
    protocol: 1;
    services: {
        id: string;
        name: string;
    }[];
    filter: Filter;
    resume: Resume;
    limits: {
        heartbeatSeconds: number;
        maxConnections: number;
    };
    upstream: Upstream;
    viewers: number;
    version: string;
    /**
     * until the credential is over: 4401, unless it is renewed
     */
    expiresInSeconds?: number;
    /**
     * what to come back with, for who has come by a ticket
     */
    reconnectToken?: string;
}
/**
 * Records are missing here and can't be had.
 */
export interface Gap {
    from: OptionalTimestamp;
    to: OptionalTimestamp;
    count: number | null;
    reason: "retention" | "limit" | "upstream_truncated" | "upstream_dropped" | "outage" | "too_large" | "unreadable" | "unknown_id";
}
/**
 * This viewer fell behind the history.
 */
export interface Lost {
    count: number;
    from: OptionalTimestamp;
    to: OptionalTimestamp;
}
export interface Place {
    lastId: OptionalRecordId;
}
/**
 * Comes every `heartbeatSeconds` of the connection. To viewers that are up to date also when the relay plans a try to reach Railway that is a second away or more.
 */
export interface HeartbeatMessage {
    type: "heartbeat";
    timestamp: Timestamp;
    data: {
        lastId: OptionalRecordId;
        upstream: Upstream;
        lastLogAt: OptionalTimestamp;
        viewers: number;
    };
}
export interface ErrorMessage {
    type: "error";
    code: "parameter_invalid" | "filter_invalid" | "message_invalid" | "unauthenticated" | "expired" | "not_allowed" | "unknown_environment" | "too_slow" | "too_many_connections" | "upstream_refused" | "flooding" | "internal";
    message: string;
    retryable: boolean;
    /**
     * seconds
     */
    retryAfter?: number;
    /**
     * that of the `history` request which is refused
     */
    request?: unknown;
}
export interface PongMessage {
    type: "pong";
    id: unknown;
}
/**
 * In the order of the history: what the relay still has stands where it arrived, what comes from Railway where its stamp says.
 */
export interface HistoryMessage {
    type: "history";
    /**
     * as it was in the request
     */
    request: unknown;
    data: LogRecord[];
    /**
     * All that is stamped so or later has been looked at; null where there is nothing at all.
     */
    scannedTo: Timestamp | null;
    /**
     * What is known to be missing among what was looked at since the last page.
     */
    gaps?: Gap[];
    /**
     * the last page of this request
     */
    done: boolean;
    /**
     * Why a last page is the last one although more may exist; without it nothing older exists.
     */
    reason?: "limit" | "retention" | "outage" | "cancelled";
    /**
     * the `before` with which another request goes on
     */
    next?: string;
}
export interface AuthCommand {
    type: "auth";
    token: string;
}
export interface FilterCommand {
    type: "filter";
    /**
     * @maxItems 50
     */
    services?: string[];
    search?: string;
    severity?: Severity;
    replay?: number;
}
export interface PauseCommand {
    type: "pause";
}
export interface ResumeCommand {
    type: "resume";
}
export interface PingCommand {
    type: "ping";
    id?: unknown;
}
/**
 * A part of the filter that is absent or null is that of the connection's filter.
 */
export interface HistoryCommand {
    type: "history";
    /**
     * a record's id, or an RFC 3339 timestamp; from the newest record on without it
     */
    before?: string | null;
    limit?: number;
    /**
     * @maxItems 50
     */
    services?: string[] | null;
    search?: string | null;
    severity?: Severity;
    /**
     * any value; it is repeated in the answers
     */
    request?: unknown;
}
export interface CancelCommand {
    type: "cancel";
    request?: unknown;
}
