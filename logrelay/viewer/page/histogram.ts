/** The rate of lines by severity over the loaded time. A drag, a click or the Enter key jumps there. */

import { bucketsOf, counted, type Buckets } from "./buckets.js";
import { byId, say } from "./dom.js";
import { Plot } from "./plot.js";
import type { Ring } from "./ring.js";
import type { Settings } from "./settings.js";
import { texts } from "./texts.js";
import { span, stamp } from "./time.js";

const PAUSE = 500; // milliseconds between two counts while lines come in

export class Histogram {
  private readonly host = byId("histogram");
  private readonly tip = byId("histogram-tip");
  private readonly summary = byId("histogram-summary");
  private readonly plot: Plot;
  private buckets: Buckets | null = null;
  // Moments rather than bars, because bars move while lines come in.
  private cursor: number | null = null;
  private anchor: number | null = null; // the other end of what is marked
  private pressed = false;
  private pointer: number | null = null; // where it hovers
  private shown: [number, number] = [0, 0];
  private dueAt = 0;
  private timer = 0;

  constructor(
    private readonly ring: Ring,
    private readonly settings: () => Settings,
    private readonly jump: (from: number, to: number) => void,
  ) {
    this.plot = new Plot(byId("plot"), settings);
    this.host.addEventListener("pointerdown", (event) => this.press(event));
    this.host.addEventListener("pointermove", (event) => this.point(event));
    this.host.addEventListener("pointerup", () => this.pressed && this.choose());
    this.host.addEventListener("pointercancel", () => this.leave());
    this.host.addEventListener("pointerleave", () => this.pressed || this.leave());
    this.host.addEventListener("keydown", (event) => this.key(event));
    this.host.addEventListener("blur", () => this.leave());
    new ResizeObserver(([entry]) => {
      this.plot.sized(entry!.contentRect.width, entry!.contentRect.height);
      this.due(0);
    }).observe(this.host);
  }

  themed(): void {
    this.plot.themed();
    this.due(0);
  }

  /** Something has changed; it is counted anew soon, and not more than twice a second. */
  due(pause = PAUSE): void {
    if (this.host.hidden || this.pressed) return; // bars must not move under a drag
    const now = performance.now();
    if (this.timer && pause > 0) return;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(
      () => {
        this.timer = 0;
        this.dueAt = performance.now() + PAUSE;
        if (!this.pressed) this.draw();
      },
      Math.max(0, Math.min(pause, this.dueAt - now)),
    );
  }

  /** Marks the time that the list shows. */
  seen(from: number, to: number): void {
    this.shown = [from, to];
    if (this.buckets && !this.host.hidden) this.plot.seen(from, to);
  }

  private draw(): void {
    const most = this.plot.most;
    if (most === 0) return;
    this.buckets = bucketsOf(this.ring, most);
    this.host.classList.toggle("bare", this.buckets === null);
    if (this.buckets) {
      this.plot.draw(this.buckets);
      this.plot.seen(...this.shown);
    }
    if (this.pointer !== null) this.cursor = this.plot.at(this.pointer);
    this.describe();
    this.show();
  }

  private describe(): void {
    const buckets = this.buckets;
    if (!buckets) return say(this.summary, "");
    const length = buckets.width * buckets.count;
    say(this.summary, texts.histogram.span(span(length), buckets.total));
    const label = texts.histogram.label(this.time(buckets.from), this.time(buckets.from + length));
    if (this.host.getAttribute("aria-label") !== label) this.host.setAttribute("aria-label", label);
  }

  private time(at: number, exactly = false): string {
    const look = { ...this.settings(), nanoseconds: false };
    const text = stamp(at, "", { ...look, clock: look.clock === "full" ? "full" : "time" }, 0);
    return exactly ? text : text.replace(/\.\d+$/, "");
  }

  /** The bars that are marked, by the cursor alone or from the anchor to it; null where nothing is. */
  private marked(): [Buckets, number, number] | null {
    const { buckets, cursor } = this;
    if (!buckets || cursor === null) return null;
    const [one, other] = [bucketAt(buckets, cursor), bucketAt(buckets, this.anchor ?? cursor)];
    return [buckets, Math.min(one, other), Math.max(one, other)];
  }

  private show(): void {
    const marked = this.marked();
    this.tip.hidden = marked === null;
    if (!marked) return this.plot.select(0, 0);
    const [buckets, first, last] = marked;
    const from = buckets.from + first * buckets.width;
    const to = buckets.from + (last + 1) * buckets.width;
    this.plot.select(from, to);
    const fine = buckets.width < 1000;
    const when = this.time(from, fine) + (first === last ? "" : ` – ${this.time(to, fine)}`);
    say(this.tip, texts.histogram.bucket(when, ...counted(buckets, first, last)));
    const middle = (this.plot.left(from) + this.plot.left(to)) / 2;
    const most = this.host.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(most, middle - this.tip.offsetWidth / 2))}px`;
  }

  private leave(): void {
    this.cursor = this.anchor = this.pointer = null;
    this.pressed = false;
    this.show();
    this.due(0);
  }

  private press(event: PointerEvent): void {
    if (!this.buckets || event.button !== 0) return;
    this.host.setPointerCapture(event.pointerId);
    this.pressed = true;
    this.cursor = this.anchor = this.plot.at(event.clientX);
    this.show();
  }

  private point(event: PointerEvent): void {
    if (!this.pressed) this.anchor = null;
    this.pointer = event.clientX;
    this.cursor = this.plot.at(event.clientX);
    this.show();
  }

  /** Goes to what is marked. */
  private choose(): void {
    const marked = this.marked();
    this.pressed = false;
    this.anchor = null;
    this.due(0);
    if (!marked) return;
    const [{ from, width }, first, last] = marked;
    this.jump(from + first * width, from + (last + 1) * width);
  }

  private key(event: KeyboardEvent): void {
    const { buckets } = this;
    if (!buckets) return;
    const last = buckets.count - 1;
    const at = this.cursor === null ? last + 1 : bucketAt(buckets, this.cursor);
    const steps: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
    const step = steps[event.key];
    if (step !== undefined) this.step(buckets, step, event.shiftKey);
    else if (event.key === "Enter" && this.cursor !== null) this.choose();
    else if (event.key === "Escape" && this.cursor !== null) this.leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Moves the cursor to a bar; with the shift key, what lies between stays marked. */
  private step(buckets: Buckets, to: number, extend: boolean): void {
    const bucket = Math.max(0, Math.min(buckets.count - 1, to));
    this.anchor = extend ? (this.anchor ?? this.cursor) : null;
    this.pointer = null;
    this.cursor = buckets.from + (bucket + 0.5) * buckets.width;
    this.show();
  }
}

function bucketAt({ from, width, count }: Buckets, time: number): number {
  return Math.max(0, Math.min(count - 1, Math.floor((time - from) / width)));
}
