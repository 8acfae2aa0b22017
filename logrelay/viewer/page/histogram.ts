/** The rate of lines by severity over the loaded time, as bars on a canvas. A drag or a click jumps there. */

import { bucketsOf, sum, type Buckets } from "./buckets.js";
import { byId, say } from "./dom.js";
import type { Ring } from "./ring.js";
import type { Settings } from "./settings.js";
import { texts } from "./texts.js";
import { span, stamp } from "./time.js";

const BAR = 5; // pixels of a bar with its gap, at least
const WIDEST = 16; // and at most
const PAUSE = 500; // milliseconds between two counts while lines come in
const ORDER = [0, 1, 4, 2, 3]; // severities from the bottom up: debug, info, none, warn, error
const NAMES = ["debug", "info", "warn", "error", "none"];

export class Histogram {
  private readonly host = byId("histogram");
  private readonly canvas = byId("bars") as HTMLCanvasElement;
  private readonly tip = byId("histogram-tip");
  private readonly summary = byId("histogram-summary");
  private readonly view = byId("histogram-view");
  private readonly brush = byId("histogram-brush");
  private buckets: Buckets | null = null;
  private colours: string[] = [];
  private cursor = -1;
  private pressed: number | null = null;
  private dueAt = 0;
  private timer = 0;

  constructor(
    private readonly ring: Ring,
    private readonly settings: () => Settings,
    private readonly jump: (from: number, to: number) => void,
  ) {
    this.host.addEventListener("pointerdown", (event) => this.press(event));
    this.host.addEventListener("pointermove", (event) => this.point(event));
    this.host.addEventListener("pointerup", (event) => this.let(event));
    this.host.addEventListener("pointerleave", () => this.pressed === null && this.show(-1));
    this.host.addEventListener("keydown", (event) => this.key(event));
    this.host.addEventListener("blur", () => this.show(-1));
    new ResizeObserver(() => this.due(0)).observe(this.host);
  }

  themed(): void {
    const style = getComputedStyle(document.documentElement);
    this.colours = NAMES.map((name) => style.getPropertyValue(`--bar-${name}`).trim());
    this.due(0);
  }

  /** Something has changed; it is counted anew soon, and not more than twice a second. */
  due(pause = PAUSE): void {
    if (this.host.hidden) return;
    const now = performance.now();
    if (this.timer && pause > 0) return;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(
      () => {
        this.timer = 0;
        this.dueAt = performance.now() + PAUSE;
        this.draw();
      },
      Math.max(0, Math.min(pause, this.dueAt - now)),
    );
  }

  /** Marks the time that the list shows. */
  seen(from: number, to: number): void {
    const buckets = this.buckets;
    if (!buckets || this.host.hidden) return;
    const whole = buckets.width * buckets.count;
    const left = Math.max(0, (from - buckets.from) / whole);
    const right = Math.min(1, (to - buckets.from) / whole);
    const share = this.used();
    this.view.style.left = `${left * share * 100}%`;
    this.view.style.width = `max(2px, ${Math.max(0, right - left) * share * 100}%)`;
  }

  /** The share of the width that bars take: all of it, unless they are few. */
  private used(): number {
    return this.buckets ? Math.min(1, (this.bar() * this.buckets.count) / this.host.clientWidth) : 1;
  }

  private bar(): number {
    return Math.min(WIDEST, this.host.clientWidth / (this.buckets?.count ?? 1));
  }

  private draw(): void {
    if (this.colours.length === 0) return this.themed();
    const width = this.host.clientWidth;
    const height = this.host.clientHeight;
    if (width === 0 || height === 0) return;
    const most = Math.max(10, Math.floor(width / BAR));
    this.buckets = bucketsOf(this.ring, most);
    const scale = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d");
    if (!context) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    if (this.buckets) this.bars(context, this.buckets, height - 4);
    this.describe();
  }

  private bars(context: CanvasRenderingContext2D, { lines, count, highest }: Buckets, height: number): void {
    const bar = this.bar();
    for (let bucket = 0; bucket < count; bucket += 1) {
      let bottom = height + 4;
      for (const severity of ORDER) {
        const number = lines[bucket * 5 + severity]!;
        if (number === 0) continue;
        const tall = Math.max(severity === 3 ? 2 : 1, (number / highest) * height); // one error can be seen among thousands
        context.fillStyle = this.colours[severity]!;
        context.fillRect(
          Math.round(bucket * bar),
          bottom - tall,
          Math.round((bucket + 1) * bar) - Math.round(bucket * bar) - 1,
          tall,
        );
        bottom -= tall;
      }
    }
  }

  private describe(): void {
    const buckets = this.buckets;
    if (!buckets) {
      say(this.summary, "");
      return;
    }
    const length = buckets.width * buckets.count;
    say(this.summary, texts.histogram.span(span(length), buckets.total));
    this.host.setAttribute(
      "aria-label",
      texts.histogram.label(this.time(buckets.from), this.time(buckets.from + length)),
    );
    if (this.cursor >= 0) this.show(this.cursor);
  }

  private time(at: number): string {
    const look = { ...this.settings(), nanoseconds: false };
    return stamp(at, "", { ...look, clock: look.clock === "full" ? "full" : "time" }, 0).replace(
      /\.\d+$/,
      "",
    );
  }

  private bucketAt(event: PointerEvent): number {
    const box = this.canvas.getBoundingClientRect();
    const bucket = Math.floor((event.clientX - box.left) / this.bar());
    return Math.max(0, Math.min((this.buckets?.count ?? 1) - 1, bucket));
  }

  private show(bucket: number): void {
    this.cursor = bucket;
    this.tip.hidden = bucket < 0 || !this.buckets;
    if (bucket < 0 || !this.buckets) {
      this.brush.hidden = true;
      return;
    }
    const { lines, from, width } = this.buckets;
    const [errors, warnings] = [lines[bucket * 5 + 3]!, lines[bucket * 5 + 2]!];
    say(
      this.tip,
      texts.histogram.bucket(this.time(from + bucket * width), sum(lines, bucket), errors, warnings),
    );
    const wide = this.host.clientWidth;
    this.tip.style.left = `${Math.max(0, Math.min(wide - this.tip.offsetWidth, bucket * this.bar() - this.tip.offsetWidth / 2))}px`;
    const [first, last] =
      this.pressed === null
        ? [bucket, bucket]
        : [Math.min(bucket, this.pressed), Math.max(bucket, this.pressed)];
    this.brush.hidden = false;
    this.brush.style.left = `${first * this.bar()}px`;
    this.brush.style.width = `${(last - first + 1) * this.bar()}px`;
  }

  private press(event: PointerEvent): void {
    if (!this.buckets || event.button !== 0) return;
    this.host.setPointerCapture(event.pointerId);
    this.pressed = this.bucketAt(event);
    this.show(this.pressed);
  }

  private point(event: PointerEvent): void {
    this.show(this.bucketAt(event));
  }

  private let(event: PointerEvent): void {
    if (this.pressed === null || !this.buckets) return;
    const bucket = this.bucketAt(event);
    const [first, last] = [Math.min(bucket, this.pressed), Math.max(bucket, this.pressed)];
    this.pressed = null;
    const { from, width } = this.buckets;
    this.jump(from + first * width, from + (last + 1) * width);
  }

  private key(event: KeyboardEvent): void {
    if (!this.buckets) return;
    const last = this.buckets.count - 1;
    const steps: Record<string, number> = {
      ArrowLeft: this.cursor - 1,
      ArrowRight: this.cursor + 1,
      Home: 0,
      End: last,
    };
    if (event.key in steps) this.show(Math.max(0, Math.min(last, steps[event.key]!)));
    else if (event.key === "Enter" && this.cursor >= 0) {
      const at = this.buckets.from + this.cursor * this.buckets.width;
      this.jump(at, at + this.buckets.width);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
