/** What the header says about the stream, as one word or two. Pure, so that each case can be looked at. */

import type { StreamState } from "../client/index.js";
import { texts } from "./texts.js";
import { span } from "./time.js";

export type Tone = "good" | "calm" | "busy" | "bad";

export interface Status {
  tone: Tone;
  label: string;
  hint: string;
}

const QUIET = 15_000; // milliseconds without a line after which a live stream is called quiet

/** `held`: the stream waits for its reader; `missing`: a hole that was announced is news. */
export function statusOf(
  state: StreamState | null,
  newest: number | null,
  now: number,
  held: boolean,
  missing = true,
): Status {
  const { header } = texts;
  if (!state) return { tone: "calm", label: header.away, hint: header.hints.away };
  const hints = header.hints;
  if (state.phase === "closed")
    return { tone: "bad", label: header.closed, hint: state.close?.message ?? hints.closed };
  if (state.phase === "connecting" && !state.close)
    return { tone: "busy", label: header.connecting, hint: hints.connecting };
  if (state.phase === "reconnecting" || state.phase === "connecting") {
    const label = header.reconnecting(Math.max(1, state.attempt), seconds(state.retryAt, now));
    return { tone: "bad", label, hint: state.close?.message ?? hints.reconnecting };
  }
  const upstream = upstreamStatus(state, now);
  if (upstream) return upstream;
  if (state.phase === "paused" || held) return { tone: "calm", label: header.paused, hint: hints.paused };
  if (missing && (state.phase === "gap" || state.phase === "lost"))
    return { tone: "busy", label: header.gap, hint: hints.gap };
  const logged = Math.max(newest ?? 0, state.lastLogAt ? Date.parse(state.lastLogAt) : 0);
  if (logged > 0 && now - logged > QUIET) {
    return { tone: "calm", label: header.quiet(span(now - logged)), hint: hints.quiet };
  }
  return { tone: "good", label: header.live, hint: hints.live };
}

function upstreamStatus({ upstream }: StreamState, now: number): Status | null {
  const { header } = texts;
  if (!upstream || upstream.state === "live") {
    const fetched = upstream?.backfill?.fetched;
    return fetched === undefined
      ? null
      : { tone: "busy", label: header.backfilling(fetched), hint: header.hints.upstream };
  }
  const retryAt = upstream.retryAt ? Date.parse(upstream.retryAt) : null;
  if (upstream.state === "refused")
    return { tone: "bad", label: header.refused, hint: header.hints.upstream };
  if (upstream.state === "degraded")
    return { tone: "busy", label: header.degraded, hint: header.hints.upstream };
  const label = header.upstreamReconnecting(upstream.attempt ?? 1, seconds(retryAt, now));
  return { tone: "busy", label, hint: header.hints.upstream };
}

function seconds(at: number | null, now: number): number {
  return at === null ? 0 : Math.max(0, Math.ceil((at - now) / 1000));
}

/** How long ago, without flickering: below two seconds it is simply now. */
export function ago(milliseconds: number): string {
  return milliseconds < 2000 ? "now" : `${span(milliseconds).replace(/\.\d/, "")} ago`;
}
