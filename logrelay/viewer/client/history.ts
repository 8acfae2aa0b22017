// Older records on request, over the same socket, while the stream goes on.
import type { ErrorMessage, HistoryCommand, HistoryMessage, LogRecord } from "./wire.js";

const AT_ONCE = 2; // requests that the relay takes on a connection
const LIMIT = 500; // records, where the wish doesn't say how many; the relay's own default

/** `limit` (500 by default) counts the records of all pages; what of the filter is left out is the stream's. */
export type HistoryWish = Omit<HistoryCommand, "type" | "request">;

/** Newest first. `scannedTo` says how far back was looked, also where nothing matched; `gaps` what is missing there. */
export interface HistoryPage {
  readonly records: readonly LogRecord[];
  readonly scannedTo: HistoryMessage["scannedTo"];
  readonly gaps: NonNullable<HistoryMessage["gaps"]>;
  /** Whether this is the last page. */
  readonly done: boolean;
  /**
   * Of the last page, why it is the last although there may be more; null where nothing older exists.
   * `limit`: as many as were wanted have come, or the relay's budget is spent for now. `outage`: Railway couldn't be asked.
   * `retention`: Railway keeps nothing older.
   */
  readonly reason: NonNullable<HistoryMessage["reason"]> | null;
  /** What to pass as `before` to go on after this page; null where nothing more can be had. */
  readonly next: string | null;
}

/** Why a search of the past ended: the relay's sentence, or that the stream is closed. */
export class HistoryError extends Error {
  override readonly name = "HistoryError";

  constructor(
    readonly code: ErrorMessage["code"] | "closed",
    message: string,
  ) {
    super(message);
  }
}

type Result = IteratorResult<HistoryPage, undefined>;

/** All searches of one stream. They outlive connections: what is left of each is asked for again. */
export class Searches {
  #waiting: Search[] = [];
  #running = new Map<number, Search>();
  #count = 0;
  #open = false;

  constructor(private readonly send: (message: object) => void) {}

  start(wish: HistoryWish): AsyncIterableIterator<HistoryPage> {
    const search = new Search(wish, () => this.#leave(search));
    this.#waiting.push(search);
    this.#ask();
    return search;
  }

  /** There is a connection. */
  connected(): void {
    this.#open = true;
    this.#ask();
  }

  /** The connection is gone, and with it the answers. */
  disconnected(): void {
    this.#open = false;
    const unanswered = [...this.#running.values()].filter((search) => !search.left);
    this.#running.clear();
    this.#waiting.unshift(...unanswered.filter((search) => !search.full()));
  }

  /** A `history` message has come. */
  answered(message: HistoryMessage): void {
    const search = this.#running.get(message.request as number);
    if (search === undefined) return;
    if (message.done) this.#running.delete(message.request as number);
    search.bring(message);
    this.#ask();
  }

  /** An error that names its request. */
  refused({ request, code, message }: ErrorMessage): void {
    const search = this.#running.get(request as number);
    this.#running.delete(request as number);
    search?.fail(new HistoryError(code, message));
    this.#ask();
  }

  closed(): void {
    this.disconnected();
    for (const search of this.#waiting.splice(0)) {
      search.fail(new HistoryError("closed", "the stream is closed"));
    }
  }

  #ask(): void {
    while (this.#open && this.#running.size < AT_ONCE) {
      const search = this.#waiting.shift();
      if (search === undefined) return;
      this.#count += 1;
      this.#running.set(this.#count, search);
      this.send({ type: "history", ...search.wish, request: this.#count });
    }
  }

  /** A search that is left counts as running until the relay has said its last word to it. */
  #leave(search: Search): void {
    this.#waiting = this.#waiting.filter((other) => other !== search);
    for (const [request, running] of this.#running) {
      if (running === search) this.send({ type: "cancel", request });
    }
  }
}

class Search implements AsyncIterableIterator<HistoryPage> {
  /** What is still wanted. */
  wish: HistoryWish;
  /** Nobody wants it any more. */
  left = false;
  #pages: HistoryPage[] = [];
  #asked: { resolve: (result: Result) => void; reject: (error: Error) => void }[] = [];
  #error: Error | null = null;
  #done = false;

  constructor(
    wish: HistoryWish,
    private readonly leave: () => void,
  ) {
    this.wish = wish;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  bring(message: HistoryMessage): void {
    if (this.left) return;
    const { data: records, scannedTo, gaps = [], done, reason = null } = message;
    const before = message.next ?? records.at(-1)?.id ?? scannedTo ?? this.wish.before ?? null;
    const limit = (this.wish.limit ?? LIMIT) - records.length;
    this.wish = { ...this.wish, limit, ...(before === null ? {} : { before }) };
    const next = done ? (message.next ?? null) : before;
    this.#pages.push({ records, scannedTo, gaps, done, reason, next });
    this.#done = done;
    this.#settle();
  }

  /** The connection is gone: whether all that was wanted had come, and only the last word was missing. */
  full(): boolean {
    const { before = null, limit = LIMIT } = this.wish;
    if (limit > 0) return false;
    this.#pages.push({ records: [], scannedTo: null, gaps: [], done: true, reason: "limit", next: before });
    this.#done = true;
    this.#settle();
    return true;
  }

  fail(error: Error): void {
    this.#error = error;
    this.#settle();
  }

  next(): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject });
      this.#settle();
    });
  }

  return(): Promise<Result> {
    const over = this.left || this.#done || this.#error !== null;
    this.left = true;
    this.#pages = [];
    if (!over) this.leave();
    this.#settle();
    return Promise.resolve({ value: undefined, done: true });
  }

  #settle(): void {
    while (this.#asked.length > 0) {
      const page = this.#pages.shift();
      if (page === undefined && !this.#done && !this.left && this.#error === null) return;
      const asked = this.#asked.shift();
      if (page !== undefined) asked?.resolve({ value: page, done: false });
      else if (this.#error !== null && !this.left) asked?.reject(this.#error);
      else asked?.resolve({ value: undefined, done: true });
    }
  }
}
