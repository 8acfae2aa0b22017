/** Records for tests. */

import type { LogRecord } from "./model.js";

export function record(number: number, more: Partial<LogRecord> = {}): LogRecord {
  const second = String(Math.floor(number / 1000) % 60).padStart(2, "0");
  const minute = String(Math.floor(number / 60_000) % 60).padStart(2, "0");
  const timestamp = `2026-11-23T03:${minute}:${second}.${String(number % 1000).padStart(3, "0")}000007Z`;
  return {
    id: `${timestamp}-${number.toString(16).padStart(12, "0")}`,
    timestamp,
    severity: "info",
    message: `line ${number}`,
    serviceId: "s1",
    serviceName: "api",
    deploymentId: "d1",
    instanceId: "i1",
    attributes: {},
    ...more,
  };
}
