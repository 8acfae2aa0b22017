// A component as a user would write it; only its types are looked at.
import { useLogStream, type LogStreamView } from "logrelay-client/react";

export function Logs({ environmentId }: { readonly environmentId: string }) {
  const { entries, state, stream }: LogStreamView = useLogStream({ environmentId, keep: 500 });
  return (
    <pre title={state?.phase ?? "starting"} onClick={() => stream?.pause()}>
      {entries.map((entry) => (entry.kind === "record" ? `${entry.record.message}\n` : ""))}
    </pre>
  );
}
