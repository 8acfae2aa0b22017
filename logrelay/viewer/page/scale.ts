/** Where the texts below the histogram stand and what they say, by the reader's clock and zone. Pure. */

import { stamp, type TimeLook } from "./time.js";

const DAY = 86_400_000; // milliseconds

/** Round moments between two others: round on the reader's clock or, where times are relative, so long ago. */
export function splitsOf(from: number, to: number, width: number, look: TimeLook, now: number): number[] {
  const shift = look.clock === "relative" ? -(now % width) : offset(from, look.zone);
  const splits: number[] = [];
  for (let at = Math.ceil((from + shift) / width) * width - shift; at <= to; at += width) splits.push(at);
  return splits;
}

/** Milliseconds by which a zone's clocks are ahead of UTC. */
function offset(at: number, zone: string): number {
  if (zone === "UTC") return 0;
  const [date, clock] = stamp(at, "", { clock: "full", zone, nanoseconds: false }, 0).split(" ");
  return Date.parse(`${date}T${clock}Z`) - Math.floor(at);
}

/** A moment as it stands below the bars; `width` is how far it is from the next one, in milliseconds. */
export function tick(at: number, width: number, look: TimeLook, now: number): string {
  if (look.clock === "relative") return stamp(at, "", look, now);
  const text = stamp(at, "", { ...look, clock: "full", nanoseconds: false }, now);
  const date = text.slice(5, 10);
  const clock = text.slice(11, width >= 60_000 ? 16 : at % 1000 === 0 ? 19 : 23);
  if (width >= DAY || (width >= 60_000 && clock === "00:00")) return date;
  return look.clock === "full" ? `${date} ${clock}` : clock;
}
