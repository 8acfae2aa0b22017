// Sorts what came: which messages are what the protocol says, as far as the client relies on it.
import type { ErrorMessage, HeartbeatMessage, HistoryMessage, LogRecord, StatusMessage } from "./wire.js";

type Body = Readonly<Record<string, unknown>>;

export type Incoming =
  | { readonly is: "records"; readonly records: readonly LogRecord[] }
  | { readonly is: "status"; readonly status: StatusMessage }
  | { readonly is: "heartbeat"; readonly heartbeat: HeartbeatMessage }
  | { readonly is: "error"; readonly error: ErrorMessage }
  | { readonly is: "history"; readonly history: HistoryMessage }
  | { readonly is: "unknown" };

const STATUSES: ReadonlySet<unknown> = new Set<StatusMessage["message"]>([
  "connecting",
  "connected",
  "reconnecting",
  "live",
  "gap",
  "lost",
  "filter",
  "paused",
  "resumed",
  "draining",
  "authenticated",
]);

/** Types and names that this version doesn't know are additions to the protocol, and no fault. */
export function incoming(body: Body): Incoming {
  switch (body["type"]) {
    case "log":
      return { is: "records", records: [body["data"]].filter(isRecord) };
    case "logs":
      return { is: "records", records: Array.isArray(body["data"]) ? body["data"].filter(isRecord) : [] };
    case "status":
      if (!STATUSES.has(body["message"]) || !isObject(body["data"])) break;
      return { is: "status", status: body as unknown as StatusMessage };
    case "heartbeat":
      if (!isObject(body["data"])) break;
      return { is: "heartbeat", heartbeat: body as unknown as HeartbeatMessage };
    case "error":
      return { is: "error", error: body as unknown as ErrorMessage };
    case "history":
      if (!Array.isArray(body["data"])) break;
      return { is: "history", history: body as unknown as HistoryMessage };
  }
  return { is: "unknown" };
}

function isObject(value: unknown): value is Body {
  return typeof value === "object" && value !== null;
}

function isRecord(value: unknown): value is LogRecord {
  return isObject(value) && typeof value["id"] === "string";
}
