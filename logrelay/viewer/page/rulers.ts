/** What rulers between the lines say: notices of the relay, of the client and of this page. */

import type { Notice } from "./model.js";
import { texts } from "./texts.js";
import { span, stamp, type TimeLook } from "./time.js";

export function rulerText(notice: Notice, look: TimeLook): string {
  const sentence = said(notice);
  const between = period(notice.data, look);
  return between ? `${sentence} · ${between}` : sentence;
}

function said({ kind, data }: Notice): string {
  const rulers = texts.rulers;
  switch (kind) {
    case "connected":
      return connected(data["resume"] as { outcome?: string } | null | undefined);
    case "disconnected":
      // Only the relay's own sentence says more than that the connection is lost.
      return data["error"] ? `${rulers.disconnected}: ${String(data["message"])}` : rulers.disconnected;
    case "reconnecting":
      return rulers.reconnecting(typeof data["reason"] === "string" ? data["reason"] : "");
    case "live":
      return rulers.live(numberOf(data["backfilled"]) ?? 0);
    case "gap": {
      const reason = String(data["reason"] ?? "");
      return rulers.gap(numberOf(data["count"]), rulers.reasons[reason] ?? reason);
    }
    case "lost":
      return rulers.lost(numberOf(data["count"]) ?? 0);
    case "draining":
      return rulers.draining;
    case "deployment":
      return rulers.deployment(String(data["service"]), String(data["id"]).slice(0, 8));
    default:
      return kind;
  }
}

function connected(resume: { outcome?: string } | null | undefined): string {
  if (resume?.outcome === "partial") return texts.rulers.connectedPartial;
  if (resume?.outcome === "exact" || resume?.outcome === "backfilled") return texts.rulers.connected;
  return texts.rulers.connectedNone;
}

/** "12:00:01 to 12:00:21 (20 s)" where a notice says from when to when; a moment is where its ruler stands. */
function period(data: Record<string, unknown>, look: TimeLook): string {
  const { from, to } = data;
  if (typeof from !== "string" || typeof to !== "string") return "";
  const [start, end] = [Date.parse(from), Date.parse(to)];
  const absolute: TimeLook = { ...look, clock: look.clock === "full" ? "full" : "time", nanoseconds: false };
  if (end - start < 1000) return "";
  return `${stamp(start, from, absolute, 0)} to ${stamp(end, to, absolute, 0)} (${span(end - start)})`;
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
