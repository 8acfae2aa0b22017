/** Older matches: a search of the past through the relay, with its progress, beside the live log. */

import type { Gap, HistoryPage } from "../client/index.js";
import { button, byId, el, say } from "./dom.js";
import { hueOf } from "./colours.js";
import type { LogRecord } from "./model.js";
import { plain } from "./ansi.js";
import { finder, spans } from "./find.js";
import { quoted } from "./query.js";
import { rulerText } from "./rulers.js";
import type { Session } from "./session.js";
import type { Settings } from "./settings.js";
import { texts } from "./texts.js";
import { stamp } from "./time.js";

const LIMIT = 200; // matches that one search brings
const SHOWN = 400; // characters of a match

export class Older {
  private readonly host = byId("older");
  private readonly list = el("ol", { class: "older-list", "data-testid": "older-list" });
  private readonly progress = el("p", { class: "progress", role: "status", "data-testid": "older-progress" });
  private readonly bar = el("progress", { class: "working", "aria-label": texts.older.starting });
  private readonly stop = button(texts.older.cancel, () => this.cancel(), { "data-testid": "older-cancel" });
  private readonly more = button(texts.older.more, () => void this.run(), { "data-testid": "older-more" });
  private search: AsyncIterableIterator<HistoryPage> | null = null;
  private wanted = "";
  private before: string | null = null;
  private scannedTo: string | null = null;
  private readonly shownAlready = new Set<string>(); // ids, and gaps; a search that goes on may bring some again
  private count = 0;

  constructor(
    private readonly session: Session,
    private readonly settings: () => Settings,
    private readonly around: (id: string) => void,
  ) {
    this.host.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
  }

  open(wanted: string): void {
    this.cancel();
    this.wanted = wanted;
    this.before = this.scannedTo = null;
    this.shownAlready.clear();
    this.count = 0;
    this.list.replaceChildren();
    const close = button("×", () => this.close(), {
      "aria-label": texts.drawer.close,
      class: "quiet-button close",
    });
    const title = el("h2", {}, texts.older.title(wanted));
    this.host.replaceChildren(
      el("div", { class: "drawer-bar" }, title, el("span", { class: "grow" }), this.stop, close),
      this.bar,
      this.progress,
      this.list,
      this.more,
    );
    this.host.hidden = false;
    void this.run();
  }

  close(): void {
    this.cancel();
    this.host.hidden = true;
    byId("lines").focus();
  }

  get shown(): boolean {
    return !this.host.hidden;
  }

  private cancel(): void {
    void this.search?.return?.();
    this.search = null;
  }

  private async run(): Promise<void> {
    const search = this.session.search(quoted(this.wanted), this.before, LIMIT);
    if (!search) return;
    this.search = search;
    this.working(true);
    say(this.progress, texts.older.starting);
    let last: HistoryPage | null = null;
    try {
      for await (const page of search) {
        if (this.search !== search) break;
        last = page;
        this.show(page);
      }
      if (this.search === search) this.finish(this.ended(last), last?.next == null);
      else this.finish(texts.older.stopped(this.count), false);
    } catch (error) {
      this.finish(texts.older.failed(error instanceof Error ? error.message : String(error)), false);
    }
  }

  /** How the search ended. */
  private ended(last: HistoryPage | null): string {
    const { older } = texts;
    if (last?.reason === "outage") return older.outage(this.count, this.reached());
    if (last?.reason === "retention") return older.kept(this.count);
    if (last?.next == null) return older.done(this.count);
    // As many as were wanted have come, unless the place to go on from is a time: there the relay's budget ended it.
    const enough = this.shownAlready.has(last.next);
    return (enough ? older.progress : older.limit)(this.count, this.reached());
  }

  private finish(sentence: string, whole: boolean): void {
    this.search = null;
    this.working(false);
    this.more.hidden = whole;
    say(this.progress, sentence);
  }

  private working(on: boolean): void {
    this.bar.hidden = !on;
    this.stop.hidden = !on;
    this.more.hidden = on;
  }

  private show({ records, gaps, scannedTo, next }: HistoryPage): void {
    const expression = finder([this.wanted]);
    const missing = gaps.filter((gap) => this.fresh(JSON.stringify(gap)));
    for (const record of records) {
      // A gap stands where its end says, between what is newer and what is older.
      while (missing[0]?.to && missing[0].to > record.timestamp) this.list.append(this.gap(missing.shift()!));
      if (!this.fresh(record.id)) continue;
      this.count += 1;
      this.list.append(this.item(record, expression));
    }
    this.list.append(...missing.map((gap) => this.gap(gap)));
    this.before = next ?? this.before;
    this.scannedTo = scannedTo ?? this.scannedTo;
    say(this.progress, texts.older.progress(this.count, this.reached()));
  }

  private fresh(key: string): boolean {
    if (this.shownAlready.has(key)) return false;
    this.shownAlready.add(key);
    return true;
  }

  private get look(): Settings {
    return { ...this.settings(), clock: "full", nanoseconds: false };
  }

  /** The time down to which all has been looked at. */
  private reached(): string {
    return this.scannedTo ? stamp(Date.parse(this.scannedTo), this.scannedTo, this.look, Date.now()) : "…";
  }

  private gap(gap: Gap): HTMLElement {
    const notice = { kind: "gap", time: 0, data: { ...gap } };
    return el("li", { class: "older-gap", "data-testid": "older-gap" }, rulerText(notice, this.look));
  }

  private item(record: LogRecord, expression: RegExp | null): HTMLElement {
    const look = { ...this.settings(), clock: "full" as const };
    const time = stamp(Date.parse(`${record.id.slice(0, 23)}Z`), record.id, look, Date.now());
    const whole = plain(record.message);
    const first = spans(whole, expression, 1)[0]?.[0] ?? 0;
    const from = first > SHOWN / 2 ? first - SHOWN / 4 : 0; // the match itself must be seen
    const text = (from ? "…" : "") + whole.slice(from, from + SHOWN);
    const message = el("span", { class: "message" });
    let at = 0;
    for (const [start, end] of spans(text, expression)) {
      message.append(text.slice(at, start), el("mark", { class: "found" }, text.slice(start, end)));
      at = end;
    }
    message.append(text.slice(at));
    const service = record.serviceName ?? "";
    const line = button("", () => this.around(record.id), {
      class: `match sev-${record.severity ?? "none"}`,
      title: texts.drawer.around,
      "data-testid": "older-match",
    });
    line.append(
      el("span", { class: "time" }, time),
      " ",
      el("span", { class: `service hue-${hueOf(service)}` }, plain(service)),
      " ",
      message,
    );
    return el("li", {}, line);
  }
}
