/** Puts what is older above what is held: each record once, and each gap where its end says. */

import type { Gap } from "../client/index.js";
import type { LogRecord } from "./model.js";
import type { Ring } from "./ring.js";

const MET = 500; // entries at the top among which a record may be already

export class Above {
  private readonly gaps = new Set<string>(); // that stand there already

  constructor(
    private readonly ring: Ring,
    private readonly wanted: (record: LogRecord) => boolean,
  ) {}

  clear(): void {
    this.gaps.clear();
  }

  /** Records newest first, and gaps among them. Whether there was room for all. */
  put(records: readonly LogRecord[], gaps: readonly Gap[]): boolean {
    const met = this.met();
    const missing = gaps.filter((gap) => this.fresh(gap));
    for (const record of records) {
      if (met.has(record.id) || !this.wanted(record)) continue;
      for (let gap = missing[0]; gap?.to && gap.to > record.timestamp; gap = missing[0]) {
        if (!this.gap(gap)) return false;
        missing.shift();
      }
      if (!this.ring.unshift(record)) return false;
    }
    return missing.every((gap) => this.gap(gap));
  }

  private met(): Set<string> {
    const { first, end } = this.ring;
    const ids = new Set<string>();
    for (let number = first; number < Math.min(end, first + MET); number += 1) ids.add(this.ring.id(number));
    return ids;
  }

  private fresh(gap: Gap): boolean {
    const key = JSON.stringify(gap);
    if (this.gaps.has(key)) return false;
    this.gaps.add(key);
    return true;
  }

  private gap(gap: Gap): boolean {
    const time = Date.parse(gap.to ?? gap.from ?? "") || this.ring.time(this.ring.first);
    return this.ring.unshiftNotice({ kind: "gap", time, data: { ...gap } });
  }
}
