/** What the page is about: records as the relay sends them, and notices in the place where they happened. */

export type Severity = "debug" | "info" | "warn" | "error" | null;

export interface LogRecord {
  id: string;
  timestamp: string;
  severity: Severity;
  message: string;
  serviceId: string | null;
  serviceName: string | null;
  deploymentId: string | null;
  instanceId: string | null;
  attributes: Record<string, unknown>;
  late?: boolean;
  truncated?: boolean;
  size?: number;
  redacted?: number;
}

/** A ruler between the lines. `data` is what the relay's status message carries. */
export interface Notice {
  kind: string;
  time: number; // milliseconds since 1970
  data: Record<string, unknown>;
}

export interface Service {
  id: string;
  name: string;
}

export interface Environment {
  id: string;
  name: string | null;
  projectName: string | null;
}

/** What the relay's filter understands. */
export interface RelayFilter {
  services: string[];
  search: string;
  severity: Severity;
}
