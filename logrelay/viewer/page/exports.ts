/** What is shown as a file: newline-delimited JSON, JSON, CSV and text. Pure; whoever calls saves it. */

import { plain } from "./ansi.js";
import { nanoseconds } from "./time.js";
import type { Entry } from "./ring.js";

export type Format = "ndjson" | "json" | "csv" | "text";

export const TYPES: Record<Format, [extension: string, mediaType: string]> = {
  ndjson: ["ndjson", "application/x-ndjson"],
  json: ["json", "application/json"],
  csv: ["csv", "text/csv;charset=utf-8"],
  text: ["log", "text/plain;charset=utf-8"],
};

const COLUMNS = [
  "timestamp",
  "severity",
  "service",
  "message",
  "attributes",
  "deploymentId",
  "instanceId",
  "id",
];

/** The record as the relay has sent it, as far as the page keeps it. */
export function recordOf(entry: Entry): Record<string, unknown> {
  return {
    id: entry.id,
    timestamp: timestampOf(entry),
    severity: entry.severity,
    message: entry.message,
    serviceId: entry.serviceId,
    serviceName: entry.service === entry.serviceId ? null : entry.service || null, // the page calls it by its id
    deploymentId: entry.deploymentId,
    instanceId: entry.instanceId,
    attributes: (entry.attributes ? JSON.parse(entry.attributes) : {}) as unknown,
    ...(entry.late ? { late: true } : {}),
    ...(entry.truncated ? { truncated: true, size: entry.size } : {}),
    ...(entry.redacted ? { redacted: entry.redacted } : {}),
  };
}

/** The stamp to the nanosecond: an id begins with it. */
export function timestampOf(entry: Entry): string {
  return `${entry.id.slice(0, 19)}.${nanoseconds(entry.id)}Z`;
}

/** One line of text for a record, without colours. */
export function lineOf(entry: Entry): string {
  const level = (entry.severity ?? "-").toUpperCase().padEnd(5);
  const attributes = entry.attributes ? `  ${plain(entry.attributes)}` : "";
  return `${timestampOf(entry)} ${plain(entry.service) || "-"} ${level} ${plain(entry.message)}${attributes}`;
}

/** A file in pieces, because one string of a hundred thousand lines is more than a Blob needs. */
export function* pieces(entries: Iterable<Entry>, format: Format): Generator<string> {
  if (format === "csv") yield `${COLUMNS.join(",")}\r\n`;
  let separator = format === "json" ? "[\n" : "";
  for (const entry of entries) {
    if (entry.notice) continue;
    if (format === "csv") yield csvRow(entry);
    else if (format === "text") yield `${lineOf(entry)}\n`;
    else yield `${separator}${JSON.stringify(recordOf(entry))}${format === "json" ? "" : "\n"}`;
    if (format === "json") separator = ",\n";
  }
  if (format === "json") yield separator === "[\n" ? "[]\n" : "\n]\n";
}

function csvRow(entry: Entry): string {
  const { severity, service, attributes, deploymentId, instanceId, id } = entry;
  const cells = [
    timestampOf(entry),
    severity,
    service,
    plain(entry.message),
    attributes,
    deploymentId,
    instanceId,
    id,
  ];
  return `${cells.map(cell).join(",")}\r\n`;
}

/** A cell that no spreadsheet takes for a formula; some take wide signs for the usual ones. */
function cell(value: string | null): string {
  const text = value ?? "";
  const safe = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}
