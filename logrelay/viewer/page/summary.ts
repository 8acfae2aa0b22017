/** What has come in, said aloud now and then: a screen reader can't be read five thousand lines a second. */

import { byId, say } from "./dom.js";
import type { Ring } from "./ring.js";
import { texts } from "./texts.js";

const PERIOD = 15_000; // milliseconds

export class Summary {
  private lines = 0;
  private errors = 0;
  private warnings = 0;
  private counted = -Infinity;

  constructor() {
    setInterval(() => this.speak(), PERIOD);
  }

  grown(ring: Ring): void {
    for (let number = Math.max(this.counted, ring.first); number < ring.end; number += 1) {
      if (ring.isNotice(number)) continue;
      this.lines += 1;
      if (ring.severity(number) === 3) this.errors += 1;
      if (ring.severity(number) === 2) this.warnings += 1;
    }
    this.counted = ring.end;
  }

  cleared(): void {
    this.counted = -Infinity;
    this.lines = this.errors = this.warnings = 0;
  }

  private speak(): void {
    if (this.lines > 0) say(byId("spoken"), texts.list.summary(this.lines, this.errors, this.warnings));
    this.lines = this.errors = this.warnings = 0;
  }
}
