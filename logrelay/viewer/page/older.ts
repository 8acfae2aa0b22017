/** Older matches: a search of the past through the relay, with its progress, beside the live log. */

import { button, byId, el, say } from "./dom.js";
import { hueOf } from "./colours.js";
import type { LogRecord } from "./model.js";
import { plain } from "./ansi.js";
import { finder, spans } from "./find.js";
import { quoted } from "./query.js";
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
  private search: AsyncIterableIterator<{
    records: readonly LogRecord[];
    scannedTo: string | null;
    done: boolean;
  }> | null = null;
  private wanted = "";
  private before: string | null = null;
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
    this.before = null;
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
    let brought = 0;
    try {
      for await (const page of search) {
        if (this.search !== search) break;
        brought += page.records.length;
        this.show(page.records, page.scannedTo);
      }
      const ended = this.search === search;
      const whole = brought < LIMIT;
      this.finish(
        !ended ? texts.older.stopped(this.count) : whole ? texts.older.done(this.count) : null,
        ended && whole,
      );
    } catch (error) {
      this.finish(texts.older.failed(error instanceof Error ? error.message : String(error)), false);
    }
  }

  private finish(sentence: string | null, whole: boolean): void {
    this.search = null;
    this.working(false);
    this.more.hidden = whole;
    if (sentence !== null) say(this.progress, sentence);
  }

  private working(on: boolean): void {
    this.bar.hidden = !on;
    this.stop.hidden = !on;
    this.more.hidden = on;
  }

  private show(records: readonly LogRecord[], scannedTo: string | null): void {
    const expression = finder([this.wanted]);
    for (const record of records) {
      this.count += 1;
      this.before = record.id;
      this.list.append(this.item(record, expression));
    }
    const look = { ...this.settings(), clock: "full" as const, nanoseconds: false };
    const to = scannedTo ? stamp(Date.parse(scannedTo), scannedTo, look, Date.now()) : "…";
    say(this.progress, texts.older.progress(this.count, to));
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
      el("span", { class: `service hue-${hueOf(service)}` }, service),
      " ",
      message,
    );
    return el("li", {}, line);
  }
}
