// What the client shows to those who use it.
import type {
  Connected,
  ErrorMessage,
  Filter,
  Gap,
  HeartbeatMessage,
  LogRecord,
  Lost,
  SeverityName,
  StatusMessage,
  Upstream,
} from "./wire.js";
import type { Surroundings } from "./surroundings.js";

export type {
  Connected,
  ErrorMessage,
  Filter,
  Gap,
  HeartbeatMessage,
  LogRecord,
  Lost,
  SeverityName,
  Upstream,
};

/** A status message whose data is known by its name. */
export type StatusNamed<Name extends StatusMessage["message"]> = Extract<StatusMessage, { message: Name }>;

/** What the relay says between the records that a reader wants to see at its place. */
type Told = "connected" | "reconnecting" | "live" | "gap" | "lost" | "filter" | "draining";

export type RelayNotice = {
  [Name in Told]: {
    readonly kind: "notice";
    readonly notice: Name;
    readonly timestamp: string;
    /** With `filter`, `replay` past records come once more, through the new filter. */
    readonly data: StatusNamed<Name>["data"] &
      (Name extends "filter" ? { readonly replay: number } : unknown);
  };
}[Told];

/** The connection to the relay ended; `retryAt` (milliseconds since 1970) is null when it stays so. */
export interface DisconnectedNotice {
  readonly kind: "notice";
  readonly notice: "disconnected";
  readonly timestamp: string;
  readonly data: Ending & { readonly retryAt: number | null };
}

export type NoticeEntry = RelayNotice | DisconnectedNotice;

export interface RecordEntry {
  readonly kind: "record";
  readonly record: LogRecord;
}

/** Records and notices stand in one sequence, in the order in which they happened. */
export type Entry = RecordEntry | NoticeEntry;

/**
 * - `connecting`: the first connection is on its way; `reconnecting`: a later one, see `attempt` and `retryAt`.
 * - `live`: served, with nothing known to be missing since the last heartbeat.
 * - `gap`, `lost`: served, and a hole has just been announced; the next heartbeat makes it `live`.
 * - `paused`: the user asked for it. `closed`: over for good, see `close`.
 */
export type Phase = "connecting" | "live" | "reconnecting" | "paused" | "gap" | "lost" | "closed";

/** How a connection ended. */
export interface Ending {
  /** The WebSocket close code; 1006 where there was none, also for a handshake that was refused. */
  readonly code: number;
  /** A sentence for people: the relay's own where it sent one. */
  readonly message: string;
  /** The relay's last error before the close. */
  readonly error: ErrorMessage | null;
}

/** A snapshot; a new object whenever something in it is different. Times are milliseconds since 1970. */
export interface StreamState {
  readonly phase: Phase;
  /** When this phase began. */
  readonly since: number;
  /** Attempts to connect since data came last; 0 while all is well. */
  readonly attempt: number;
  /** When the next attempt will be made, while one is waited for. */
  readonly retryAt: number | null;
  /** How the last connection ended; null before any did. */
  readonly close: Ending | null;
  /** Whether the socket is open and `connected` has come on it. */
  readonly connected: boolean;
  readonly environment: { readonly id: string; readonly name: string | null };
  readonly services: Connected["services"];
  /** The filter as the relay understood it; null before it has said so. */
  readonly filter: Filter | null;
  /** The relay's own connection to Railway. */
  readonly upstream: Upstream | null;
  readonly viewers: number | null;
  /** When something came from the relay last. */
  readonly lastFrameAt: number | null;
  /** When the environment's newest record reached the relay, by the relay's clock. */
  readonly lastLogAt: string | null;
  /** How far this viewer is behind: entries that wait here, and, by the last heartbeat, milliseconds of the stream. */
  readonly lag: { readonly entries: number; readonly milliseconds: number };
  readonly limits: Connected["limits"] | null;
  readonly version: string | null;
}

/** Who is calling. A ticket opens one connection; what the relay hands out for coming back is kept in memory. */
export type Credential = { readonly token: string } | { readonly ticket: string } | { readonly cookie: true };

/** Asked when a credential is needed and none is at hand, and before one runs out; null ends the stream. */
export type CredentialSource = () => Promise<Credential | null>;

export interface FilterWish {
  readonly services?: readonly string[];
  readonly search?: string;
  readonly severity?: SeverityName | null;
}

export interface StreamOptions {
  /** The relay's address without the path of the API, such as `https://logs.example.com/base`; the page's own by default. */
  readonly base?: string;
  readonly environmentId: string;
  readonly filter?: FilterWish;
  /** Past records to begin with (default 100), where there is no `lastId`. */
  readonly tail?: number;
  /** The id of a record after which to go on, for example after a reload. */
  readonly lastId?: string;
  readonly credential?: CredentialSource;
  /** `frame` (default) hands entries over once per animation frame, `immediate` with each message. */
  readonly delivery?: "frame" | "immediate";
  /** Entries that may wait here before the relay is asked to pause (default 10,000). */
  readonly highWater?: number;
  /** Entries at which it is asked to go on (default a quarter of `highWater`). */
  readonly lowWater?: number;
  /** The most entries handed over at once (default 2,000). */
  readonly batch?: number;
  /** Clock, timers, sockets and the like, where the browser's are not wanted. */
  readonly surroundings?: Partial<Surroundings>;
}

export interface StreamEvents {
  /** Entries in order, never an empty batch. While nobody listens or iterates, they wait. */
  readonly entries: readonly Entry[];
  /** The state is another one: at once when the phase changes, else once per delivery. */
  readonly state: StreamState;
  /** An error message of the relay's. */
  readonly error: ErrorMessage;
}
