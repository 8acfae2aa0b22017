/** Lines counted by time and severity, for the histogram. Pure. */

import type { Ring } from "./ring.js";

export const WIDTHS = [
  100, 250, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
  3_600_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000,
]; // milliseconds that people can read at a glance

/** Severities as bars are stacked, the topmost first: error, warn, none, info, debug. */
export const STACK = [3, 2, 4, 1, 0];

export interface Buckets {
  from: number; // milliseconds since 1970
  width: number; // milliseconds
  count: number;
  /** Lines by bucket and severity: `lines[bucket * 5 + severity]`, severities as in ring.ts. */
  lines: Uint32Array;
  highest: number; // lines in the fullest bucket
  total: number;
}

/** Counts what the ring holds in at most so many buckets of a round width; null where there is nothing. */
export function bucketsOf(ring: Ring, most: number): Buckets | null {
  let from = Infinity;
  let to = -Infinity;
  let total = 0;
  for (let number = ring.first; number < ring.end; number += 1) {
    if (ring.isNotice(number)) continue;
    const time = ring.time(number);
    if (time < from) from = time;
    if (time > to) to = time;
    total += 1;
  }
  if (total === 0) return null;
  const width =
    WIDTHS.find((wide) => Math.floor(to / wide) - Math.floor(from / wide) < most) ??
    Math.ceil((to - from + 1) / most);
  const start = Math.floor(from / width) * width;
  const count = Math.floor((to - start) / width) + 1;
  const lines = new Uint32Array(count * 5);
  for (let number = ring.first; number < ring.end; number += 1) {
    if (ring.isNotice(number)) continue;
    lines[Math.floor((ring.time(number) - start) / width) * 5 + ring.severity(number)]! += 1;
  }
  let highest = 0;
  for (let bucket = 0; bucket < count; bucket += 1) highest = Math.max(highest, sum(lines, bucket));
  return { from: start, width, count, lines, highest, total };
}

export function sum(lines: Uint32Array, bucket: number): number {
  let total = 0;
  for (let severity = 0; severity < 5; severity += 1) total += lines[bucket * 5 + severity]!;
  return total;
}

/** Lines by severity in some buckets, the first and the last included. */
export function counted({ lines }: Buckets, first: number, last: number): [number, number, number] {
  let [total, errors, warnings] = [0, 0, 0];
  for (let bucket = first; bucket <= last; bucket += 1) {
    total += sum(lines, bucket);
    errors += lines[bucket * 5 + 3]!;
    warnings += lines[bucket * 5 + 2]!;
  }
  return [total, errors, warnings];
}

/**
 * How high each severity of STACK reaches in each bucket, behind one empty bucket, and the most of it. `pixel` is how
 * many lines a pixel stands for: what there is at all takes one, and an error two, to be seen among thousands.
 */
export function stacked({ count, lines }: Buckets, pixel: number): { tops: Float64Array[]; most: number } {
  const tops = STACK.map(() => new Float64Array(count + 1));
  let most = 1;
  for (let bucket = 0; bucket < count; bucket += 1) {
    let top = 0;
    for (let index = STACK.length - 1; index >= 0; index -= 1) {
      const severity = STACK[index]!;
      const number = lines[bucket * 5 + severity]!;
      if (number > 0) top += Math.max(number, pixel * (severity === 3 ? 2 : 1));
      tops[index]![bucket + 1] = top;
    }
    most = Math.max(most, top);
  }
  return { tops, most };
}
