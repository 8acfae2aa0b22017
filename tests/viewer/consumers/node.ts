// A program for Node as a user would write it; only its types are looked at.
import { FilterError, HistoryError, LogStream, StreamEnded } from "logrelay-client";
import type { CredentialSource, Entry, Gap, HistoryPage, LogRecord, StreamState } from "logrelay-client";
import { WebSocket } from "ws";

const credential: CredentialSource = async () => ({ token: process.env["TOKEN"] ?? "" });
const stream = new LogStream({
  base: "https://logs.example.com",
  environmentId: "production",
  filter: { services: ["api"], severity: "warn" },
  credential,
  surroundings: { WebSocket },
});

function shown(entry: Entry): string {
  if (entry.kind === "record") {
    const record: LogRecord = entry.record;
    return `${record.timestamp} ${record.severity ?? "-"} ${record.message}`;
  }
  switch (entry.notice) {
    case "gap": {
      const gap: Gap = entry.data;
      return `missing: ${gap.count ?? "?"} (${gap.reason})`;
    }
    case "lost":
      return `lost: ${entry.data.count}`;
    case "live":
      return `filled: ${entry.data.backfilled}`;
    case "disconnected":
      return `${entry.data.code} ${entry.data.message} ${entry.data.retryAt ?? "never"}`;
    default:
      return entry.notice;
  }
}

const silence: () => void = stream.on("state", (state: StreamState) => {
  console.log(state.phase, state.attempt, state.retryAt, state.upstream?.attempt, state.upstream?.retryAt);
});

try {
  for await (const entry of stream) console.log(shown(entry));
  for await (const page of stream.history({ search: "boom", limit: 50 })) {
    const { records, gaps, reason, next }: HistoryPage = page;
    console.log(records.length, gaps.length, reason === "outage" ? next : null);
  }
  const filter = await stream.setFilter({ search: "boom", severity: null }, { replay: 100 });
  console.log(filter.unknownServices);
} catch (error) {
  if (error instanceof StreamEnded) console.error(error.ending.code, error.ending.message);
  else if (error instanceof FilterError || error instanceof HistoryError) console.error(error.code);
  else throw error;
} finally {
  silence();
  stream.close();
}
