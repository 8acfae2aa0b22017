// One environment's stream as its viewer sees it: over all connections, each entry once, in order.
import { address, subprotocols } from "./address.js";
import { Board } from "./board.js";
import { Connection } from "./connection.js";
import { Delivery, type DeliveryLimits } from "./delivery.js";
import { returning, sentence } from "./endings.js";
import { type HistoryPage, type HistoryWish, Searches } from "./history.js";
import { Hold } from "./hold.js";
import { Pass, type Shown } from "./pass.js";
import { Position } from "./position.js";
import { type Parts, Reader } from "./reader.js";
import { Retries } from "./retries.js";
import { surroundings } from "./surroundings.js";
import type {
  Ending,
  Entry,
  FilterWish,
  NoticeEntry,
  StreamEvents,
  StreamOptions,
  StreamState,
} from "./types.js";
import type { Filter } from "./wire.js";
import { FilterError, Wishes } from "./wishes.js";

const TAIL = 100; // records
const HIGH_WATER = 10_000; // entries
const BATCH = 2000; // entries

/** The stream is over because coming back would be of no use; `ending` says why. */
export class StreamEnded extends Error {
  override readonly name = "StreamEnded";

  constructor(readonly ending: Ending) {
    super(ending.message);
  }
}

/**
 * Connects at once and stays connected until `close()`, or until the relay says that it is of no use.
 * Entries go to listeners and iterators; while there are none, they wait.
 */
export class LogStream implements AsyncIterable<Entry> {
  readonly #options: StreamOptions;
  readonly #parts: Parts;
  readonly #reader: Reader;
  readonly #unlisten: () => void;
  #handedOver: string | null; // the id of the last record
  #taken: string | null; // and that of the last one of the batches before, which everyone has taken
  #left = false; // by `close()`
  #round = 0; // of connecting; whatever belongs to an earlier one is over

  /** Throws a TypeError for a base that is no address, and an Error where there is no WebSocket. */
  constructor(options: StreamOptions) {
    this.#options = options;
    this.#handedOver = this.#taken = options.lastId ?? null;
    this.#parts = this.#assembled(options);
    this.#reader = new Reader(this.#parts);
    this.#address({ token: null, ticket: null }); // throws now rather than later
    this.#unlisten = this.#parts.around.visibility.listen(() => this.#looked());
    void this.#connect();
  }

  #assembled(options: StreamOptions): Parts {
    const around = surroundings(options.surroundings);
    const board = new Board(around, options.environmentId);
    const send = (message: object): void => this.#reader.send(message);
    // A hold is asked for as soon as a socket is open, because records may come before anything else can be said.
    const hold = new Hold(around, (message) => this.#reader.connection?.send(message));
    const owner = {
      handOver: (entries: readonly Entry[]) => this.#handOver(entries),
      listening: () => board.listening,
      pressed: (on: boolean) => hold.press(on),
    };
    return {
      around,
      board,
      hold,
      delivery: new Delivery(around, limits(options), owner),
      pass: new Pass(around, options.credential, (token) => send({ type: "auth", token })),
      position: new Position(options.lastId, options.tail ?? TAIL),
      retries: new Retries(around, () => void this.#connect()),
      searches: new Searches(send),
      wishes: new Wishes(options.filter ?? {}),
    };
  }

  /** A snapshot; the same object until something changes. */
  get state(): StreamState {
    return this.#parts.board.state;
  }

  /** The place after the batches that were taken, to go on from after a reload of the page; null while there is none. */
  get lastId(): string | null {
    const { delivery, position } = this.#parts;
    if (delivery.depth === 0) return position.lastId;
    return delivery.taken ? this.#handedOver : this.#taken;
  }

  /** Listens; returns what ends that. */
  on<Name extends keyof StreamEvents>(name: Name, listener: (event: StreamEvents[Name]) => void): () => void {
    const off = this.#parts.board.on(name, listener);
    if (name === "entries") this.#parts.delivery.wake();
    return off;
  }

  /** Entries one by one. Throws StreamEnded after the last when the relay ended the stream for good. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Entry, undefined> {
    for await (const batch of this.batches()) {
      for (const entry of batch) {
        if (this.#left) return;
        yield entry;
      }
    }
  }

  /** Entries as they are handed over. Throws like the iterator over single ones. */
  batches(): AsyncIterableIterator<readonly Entry[]> {
    return this.#parts.delivery.batches();
  }

  /**
   * Replaces the filter without a reconnect, and re-reads so many matching records of the past through it.
   * Resolves with the filter as the relay understood it; rejects with a FilterError, and the old one stays.
   */
  setFilter(filter: FilterWish, options: { readonly replay?: number } = {}): Promise<Filter> {
    if (this.state.phase === "closed")
      return Promise.reject(new FilterError("closed", "the stream is closed"));
    const answered = this.#parts.wishes.want(filter, options.replay ?? 0);
    this.#reader.sendWish();
    return answered;
  }

  /** Holds the position; nothing is lost as long as the relay's history reaches back to it. */
  pause(): void {
    if (this.state.phase === "closed") return;
    this.#parts.hold.ask(true);
    if (this.#reader.served) this.#parts.board.set({ phase: "paused" });
  }

  /** Goes on from the same record. */
  resume(): void {
    if (this.state.phase === "closed") return;
    this.#parts.hold.ask(false);
    if (this.#reader.served) this.#parts.board.set({ phase: "live" });
  }

  /** Older records, newest first, in pages. Leaving the loop stops the search. Throws HistoryError. */
  history(wish: HistoryWish = {}): AsyncIterableIterator<HistoryPage> {
    const search = this.#parts.searches.start(wish);
    if (this.state.phase === "closed") this.#parts.searches.closed();
    return search;
  }

  /** Doesn't wait for the next attempt to connect, unless it was the relay that asked for it. */
  reconnect(): void {
    this.#parts.retries.hurry();
  }

  /** Ends the stream; what waits is dropped. */
  close(): void {
    this.#left = true;
    this.#stop({ code: 1000, message: "closed", error: null }, null);
  }

  // -- connecting ------------------------------------------------------------------------------------------

  async #connect(): Promise<void> {
    const round = (this.#round += 1);
    this.#parts.board.set({ retryAt: null });
    let shown: Shown | null;
    try {
      shown = await this.#parts.pass.take();
    } catch {
      if (round === this.#round) this.#ended(1006, "the credential could not be had");
      return;
    }
    if (round !== this.#round) return;
    if (shown === null) {
      this.#stopFor({ code: 4401, message: "there is no credential", error: null });
    } else {
      this.#open(shown);
    }
  }

  /** Comes back for what stood in a message that can't be read, once. */
  #unreadable(): void {
    if (!this.#reader.unreadable()) return;
    this.#reader.connection?.drop();
    this.#ended(1006, "a message could not be read");
  }

  #open(shown: Shown): void {
    const owner = {
      opened: () => this.#parts.hold.opened(),
      message: (body: Readonly<Record<string, unknown>>) => this.#reader.message(body),
      unreadable: () => this.#unreadable(),
      ended: (code: number, reason: string) => this.#ended(code, reason),
    };
    try {
      this.#reader.connection = new Connection(
        this.#parts.around,
        owner,
        this.#address(shown),
        subprotocols(shown.token),
      );
    } catch {
      // What the platform says may repeat the address, and with it a ticket.
      this.#stopFor({ code: 1006, message: "the platform refuses to connect to this address", error: null });
    }
  }

  #address(shown: Shown): string {
    return address({
      base: this.#options.base ?? "",
      environmentId: this.#options.environmentId,
      filter: this.#parts.wishes.accepted,
      place: this.#parts.position.place(this.#parts.around.now()),
      ticket: shown.ticket,
    });
  }

  #ended(code: number, reason: string): void {
    const error = this.#reader.error;
    const ending = { code, message: sentence(code, reason, error), error };
    const how = returning(code, error);
    const served = this.#reader.left();
    if (how === "renew") this.#parts.pass.refused();
    if (how === "stop" || (how === "renew" && !this.#parts.pass.renewable)) {
      this.#stopFor(ending);
      return;
    }
    const retryAt = this.#parts.retries.plan(how, error);
    if (served) this.#reader.push([this.#disconnected(ending, retryAt)]);
    const phase = this.state.phase === "connecting" ? "connecting" : "reconnecting";
    this.#parts.board.set({
      phase,
      connected: false,
      close: ending,
      retryAt,
      attempt: this.#parts.retries.attempt,
    });
    this.#parts.board.publish();
  }

  #stopFor(ending: Ending): void {
    this.#stop(ending, new StreamEnded(ending));
  }

  #stop(ending: Ending, error: StreamEnded | null): void {
    if (this.state.phase === "closed") return;
    this.#round += 1;
    this.#reader.connection?.drop();
    this.#reader.left();
    this.#parts.retries.cancel();
    this.#unlisten();
    this.#parts.wishes.closed();
    this.#parts.searches.closed();
    if (error === null) {
      this.#parts.delivery.discard();
    } else {
      this.#reader.push([this.#disconnected(ending, null)]);
      this.#parts.delivery.end(error);
    }
    this.#parts.board.set({ phase: "closed", connected: false, close: ending, retryAt: null });
  }

  #looked(): void {
    if (this.#parts.around.visibility.hidden) return;
    this.#parts.delivery.wake();
    this.#reader.connection?.look();
    this.#parts.retries.hurry();
  }

  #handOver(entries: readonly Entry[]): void {
    this.#taken = this.#handedOver;
    for (const entry of entries) if (entry.kind === "record") this.#handedOver = entry.record.id;
    this.#parts.board.emit("entries", entries);
    this.#parts.board.set({ lag: { ...this.state.lag, entries: this.#parts.delivery.depth } });
    this.#parts.board.publish();
  }

  #disconnected(ending: Ending, retryAt: number | null): NoticeEntry {
    const timestamp = new Date(this.#parts.around.now()).toISOString();
    return { kind: "notice", notice: "disconnected", timestamp, data: { ...ending, retryAt } };
  }
}

function limits(options: StreamOptions): DeliveryLimits {
  const highWater = options.highWater ?? HIGH_WATER;
  return {
    highWater,
    lowWater: options.lowWater ?? Math.floor(highWater / 4),
    batch: options.batch ?? BATCH,
    immediate: options.delivery === "immediate",
  };
}
