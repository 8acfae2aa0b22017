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

/** Per status, whether its data is fit for use. That none is missing is the compiler's business. */
const STATUSES: Readonly<Record<StatusMessage["message"], (data: Body) => boolean>> = {
  connecting: () => true,
  connected: (data) =>
    ["filter", "limits", "upstream"].every((part) => isObject(data[part])) && Array.isArray(data["services"]),
  reconnecting: () => true,
  live: () => true,
  gap: () => true,
  lost: () => true,
  filter: (data) => isObject(data["filter"]),
  paused: () => true,
  resumed: () => true,
  draining: (data) => isTime(data["reconnectInSeconds"]),
  authenticated: () => true,
};

/** Types and names that this version doesn't know are additions to the protocol, and no fault. */
export function incoming(body: Body): Incoming {
  const { type, data } = body;
  if (type === "log") return { is: "records", records: [data].filter(isRecord) };
  if (type === "logs") return { is: "records", records: Array.isArray(data) ? data.filter(isRecord) : [] };
  if (type === "status" && isStatus(body)) return { is: "status", status: body };
  if (type === "heartbeat" && isHeartbeat(body)) return { is: "heartbeat", heartbeat: body };
  if (type === "error") return { is: "error", error: error(body) };
  if (type === "history" && isHistory(body)) {
    return { is: "history", history: { ...body, data: body.data.filter(isRecord) } };
  }
  return { is: "unknown" };
}

/** What an error lacks is added, because a close may depend on it. */
function error(body: Body): ErrorMessage {
  const { code, message, retryable, retryAfter, ...rest } = body;
  return {
    ...(rest as Pick<ErrorMessage, "type">),
    code: (typeof code === "string" ? code : "internal") as ErrorMessage["code"],
    message: typeof message === "string" ? message : "",
    retryable: retryable !== false,
    ...(isTime(retryAfter) ? { retryAfter } : {}),
  };
}

function isStatus(body: Body): body is Body & StatusMessage {
  const { message, data, timestamp } = body;
  if (typeof message !== "string" || typeof timestamp !== "string" || !isObject(data)) return false;
  return Object.hasOwn(STATUSES, message) && STATUSES[message as StatusMessage["message"]](data);
}

function isHeartbeat(body: Body): body is Body & HeartbeatMessage {
  const { data } = body;
  return isObject(data) && isObject(data["upstream"]) && isId(data["lastId"] ?? null);
}

function isHistory(body: Body): body is Body & HistoryMessage {
  return Array.isArray(body["data"]) && "request" in body;
}

function isObject(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

/** Seconds to wait: neither negative nor endless, since a timer that gets such a number fires at once. */
function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function isRecord(value: unknown): value is LogRecord {
  return isObject(value) && typeof value["id"] === "string";
}
