// A page's script as a user would write it; only its types are looked at.
import { LogStream, type Entry } from "logrelay-client";

const stream = new LogStream({ environmentId: "production", surroundings: { WebSocket } });
const list = document.createElement("ol");
stream.on("entries", (entries: readonly Entry[]) => {
  for (const entry of entries) {
    const line = document.createElement("li");
    line.textContent = entry.kind === "record" ? entry.record.message : entry.notice;
    list.append(line);
  }
});
stream.on("error", ({ code, message, retryAfter }) => console.warn(code, message, retryAfter ?? 0));
addEventListener("pagehide", () => sessionStorage.setItem("place", stream.lastId ?? ""));
