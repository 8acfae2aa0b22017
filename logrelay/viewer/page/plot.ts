/**
 * The bars that uPlot draws: lines by severity, stacked, over a scale of time in the reader's clock and zone.
 * Bars are whole pixels wide and the newest stands at the right edge, so that nothing is blurred or squeezed.
 */

import uPlot from "uplot";
import { STACK, stacked, WIDTHS, type Buckets } from "./buckets.js";
import { splitsOf, tick } from "./scale.js";
import type { TimeLook } from "./time.js";

const BAR = 5; // pixels of a bar with its gap, at least
const WIDEST = 16; // and at most
const LEFT = 40; // pixels of the numbers' axis
const BOTTOM = 18; // and of the times'
const TOP = 15; // pixels above the highest bar, where the summary stands
const LOW = 60; // pixels of height below which there is no summary, and no room above the bars
const APART = 110; // pixels from one time below the bars to the next, at least
const FONT = "11px system-ui, sans-serif";
const HALF = 3.3; // pixels of half a digit in it, rather more than less
const NAMES = ["debug", "info", "warn", "error", "none"];
const NUMBERS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];
const short = new Intl.NumberFormat("en", { notation: "compact" });

export class Plot {
  private chart: uPlot | null = null;
  private colours = new Map<string, string>();
  private width = 0;
  private height = 0;
  private narrow = false;
  private range: [number, number] = [0, 1]; // milliseconds since 1970
  private highest = 1;
  private now = 0;
  /** What the list shows just now, as a line below the bars. */
  private readonly view = document.createElement("div");

  constructor(
    private readonly host: HTMLElement,
    private readonly look: () => TimeLook,
  ) {
    this.view.className = "histogram-view";
  }

  /** How many bars fit; none while the plot can't be seen. */
  get most(): number {
    return this.height > 0 ? Math.max(10, Math.floor(this.inner / BAR)) : 0;
  }

  themed(): void {
    const style = getComputedStyle(document.documentElement);
    for (const name of [...NAMES.map((name) => `bar-${name}`), "dim", "border"])
      this.colours.set(name, style.getPropertyValue(`--${name}`).trim());
  }

  sized(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.narrow = width < 560;
    if (height > 0) this.chart?.setSize({ width, height }); // it is hidden otherwise
  }

  draw(buckets: Buckets): void {
    const { from, width, count } = buckets;
    const bar = Math.max(1, Math.min(WIDEST, Math.floor(this.inner / count)));
    const end = from + width * count;
    this.range = [end - (this.inner / bar) * width, end];
    this.now = Date.now();
    const data = this.stacks(buckets);
    if (this.chart) this.chart.setData(data);
    else this.chart = this.made(data);
  }

  /** The moment below a place on the screen. */
  at(clientX: number): number {
    if (!this.chart) return this.range[1];
    return this.chart.posToVal(clientX - this.chart.over.getBoundingClientRect().left, "x");
  }

  /** Pixels from the host's left edge to a moment. */
  left(time: number): number {
    return (this.narrow ? 0 : LEFT) + this.place(time);
  }

  /** Marks a length of time, or none. */
  select(from: number, to: number): void {
    if (!this.chart) return;
    const left = this.place(from);
    const size = {
      left,
      top: 0,
      width: Math.max(0, this.place(to) - left),
      height: this.chart.over.clientHeight,
    };
    this.chart.setSelect(size, false);
  }

  /** Marks what the list shows, at least two pixels of it. Called with each frame, so that nothing is measured here. */
  seen(from: number, to: number): void {
    const left = Math.min(this.place(from), this.inner - 2);
    const where = `translateX(${left}px)`;
    const width = `${Math.max(2, this.place(to) - left)}px`;
    if (this.view.style.transform !== where) this.view.style.transform = where;
    if (this.view.style.width !== width) this.view.style.width = width;
  }

  private get top(): number {
    return this.height < LOW ? 4 : TOP;
  }

  private get inner(): number {
    return this.width - (this.narrow ? 0 : LEFT);
  }

  /** Whole pixels from the left edge of the bars to a moment, no further than they reach. */
  private place(time: number): number {
    const [from, to] = this.range;
    return Math.round(Math.max(0, Math.min(1, (time - from) / (to - from))) * this.inner);
  }

  /** A time without lines stands before the others, because a single bar would be as wide as all. */
  private stacks(buckets: Buckets): uPlot.AlignedData {
    const { from, width, count, highest } = buckets;
    const times = Float64Array.from({ length: count + 1 }, (_, index) => from + (index - 1) * width);
    const { tops, most } = stacked(buckets, highest / Math.max(1, this.height - BOTTOM - this.top));
    this.highest = most;
    return [times, ...tops];
  }

  private made(data: uPlot.AlignedData): uPlot {
    const paths = uPlot.paths.bars!({ size: [1], gap: 1, align: 1 });
    const nothing = { show: false };
    const chart = new uPlot(
      {
        width: this.width,
        height: this.height,
        padding: [() => this.top, 0, 0, 0],
        legend: nothing,
        // uPlot knows mice only: fingers, pens, mice and keys come through Histogram, all in one way.
        cursor: { show: true, x: false, y: false, points: nothing, bind: unbound },
        scales: {
          x: { time: false, range: () => this.range },
          y: { range: () => [0, this.highest] },
        },
        series: [
          {},
          ...STACK.map((severity) => ({
            paths,
            width: 0,
            points: nothing,
            fill: () => this.colours.get(`bar-${NAMES[severity]}`) ?? "",
          })),
        ],
        bands: [1, 2, 3, 4].map((series) => ({ series: [series, series + 1] as [number, number] })),
        axes: [this.times(), this.numbers()],
      },
      data,
      this.host,
    );
    chart.over.append(this.view);
    return chart;
  }

  private times(): uPlot.Axis {
    return {
      stroke: () => this.colours.get("dim") ?? "",
      font: FONT,
      size: BOTTOM,
      gap: 2,
      space: () => (this.look().clock === "full" ? APART + 30 : this.narrow ? 90 : APART),
      grid: { show: false },
      ticks: { stroke: () => this.colours.get("border") ?? "", size: 4, width: 1 },
      incrs: WIDTHS,
      splits: (_u, _axis, from, to, width) => splitsOf(from, to, width, this.look(), this.now),
      values: (_u, splits, _axis, _space, width) => splits.map((at) => this.text(at, width)),
    };
  }

  /** What stands below a moment; nothing where it would be cut off. */
  private text(at: number, width: number): string {
    const text = tick(at, width, this.look(), this.now);
    const half = text.length * HALF;
    const place = this.place(at);
    return this.left(at) < half || place > this.inner - half ? "" : text;
  }

  private numbers(): uPlot.Axis {
    return {
      stroke: () => this.colours.get("dim") ?? "",
      font: FONT,
      size: () => (this.narrow ? 0 : LEFT),
      gap: 6,
      space: 20,
      grid: { stroke: () => this.colours.get("border") ?? "", width: 1 },
      ticks: { show: false },
      incrs: NUMBERS,
      values: (_, splits) => splits.map((number) => (this.narrow ? "" : short.format(number))),
    };
  }
}

const none = (): null => null;
const unbound: uPlot.Cursor.Bind = {
  mousedown: none,
  mouseup: none,
  click: none,
  dblclick: none,
  mousemove: none,
  mouseleave: none,
  mouseenter: none,
};
