// What the relay says: entries are passed on, the rest changes the state.
import type { Board } from "./board.js";
import type { Connection } from "./connection.js";
import type { Delivery } from "./delivery.js";
import type { Searches } from "./history.js";
import type { Hold } from "./hold.js";
import { incoming } from "./incoming.js";
import type { Pass } from "./pass.js";
import type { Position } from "./position.js";
import type { Retries } from "./retries.js";
import { Seen } from "./seen.js";
import type { Surroundings } from "./surroundings.js";
import type { Entry, NoticeEntry, StatusNamed } from "./types.js";
import type { ErrorMessage, Gap, HeartbeatMessage, LogRecord, StatusMessage } from "./wire.js";
import type { Wishes } from "./wishes.js";

const REMEMBERED = 50_000; // ids: ten seconds, which is the overlap, of 5,000 records a second

/** What a stream is made of, and outlives its connections. */
export interface Parts {
  readonly around: Surroundings;
  readonly board: Board;
  readonly delivery: Delivery;
  readonly hold: Hold;
  readonly pass: Pass;
  readonly position: Position;
  readonly retries: Retries;
  readonly searches: Searches;
  readonly wishes: Wishes;
}

/** Takes what comes on one connection after the other. */
export class Reader {
  connection: Connection | null = null;
  /** Whether `connected` has come on this connection. */
  served = false;
  /** The last message that came, if it was an error: the reason of a close. */
  error: ErrorMessage | null = null;
  readonly #parts: Parts;
  readonly #seen = new Seen(REMEMBERED);
  #poison: string | null = null; // the place before which a message couldn't be read

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The connection is no more; whether it had been served. */
  left(): boolean {
    const { served } = this;
    this.connection = this.error = null;
    this.served = false;
    this.#parts.pass.rest();
    this.#parts.hold.ended();
    this.#parts.wishes.disconnected();
    this.#parts.searches.disconnected();
    return served;
  }

  /** A message has come. */
  message(body: Readonly<Record<string, unknown>>): void {
    const came = incoming(body);
    this.#parts.board.set({ lastFrameAt: this.#parts.around.now() });
    this.error = came.is === "error" ? came.error : null;
    if (came.is === "records") this.#records(came.records);
    else if (came.is === "heartbeat") this.#heartbeat(came.heartbeat);
    else if (came.is === "status") this.#status(came.status);
    else if (came.is === "history") this.#parts.searches.answered(came.history);
    else if (came.is === "error") this.#refused(came.error);
  }

  #records(records: readonly LogRecord[]): void {
    // The position moves with repeats too: new ones may follow them.
    this.#parts.position.move(records.at(-1)?.id ?? null);
    this.#succeeded();
    this.push(
      records.filter((record) => this.#seen.add(record.id)).map((record) => ({ kind: "record", record })),
    );
  }

  #heartbeat({ data }: HeartbeatMessage): void {
    this.#parts.position.move(data.lastId);
    this.#succeeded();
    const { phase } = this.#parts.board.state;
    this.#parts.board.set({
      phase: phase === "gap" || phase === "lost" ? "live" : phase,
      upstream: data.upstream,
      viewers: data.viewers,
      lastLogAt: data.lastLogAt,
      lag: { entries: this.#parts.delivery.depth, milliseconds: behind(data.lastLogAt, data.lastId) },
    });
    this.#parts.board.publish();
  }

  #succeeded(): void {
    this.#parts.retries.succeeded();
    if (this.#parts.board.state.attempt !== 0) this.#parts.board.set({ attempt: 0 });
  }

  #refused(error: ErrorMessage): void {
    if ("request" in error) this.#parts.searches.refused(error);
    else if (this.#parts.wishes.refused(error)) this.sendWish();
    this.#parts.board.emit("error", error);
  }

  #status(status: StatusMessage): void {
    switch (status.message) {
      case "connecting":
        this.#parts.board.set({ upstream: status.data.upstream ?? null });
        break;
      case "connected":
        this.#connected(status);
        break;
      case "reconnecting":
      case "live":
        if (!this.#notice(status)) return;
        this.#parts.board.set({ upstream: { state: status.message } });
        break;
      case "gap":
      case "lost":
        if (this.#notice(status)) this.#hole(status.message);
        break;
      case "filter":
        this.#filtered(status);
        break;
      case "draining":
        this.#parts.retries.draining(status.data.reconnectInSeconds);
        this.push([{ kind: "notice", notice: "draining", timestamp: status.timestamp, data: status.data }]);
        break;
      case "authenticated":
        this.#parts.pass.accepted(status.data.expiresInSeconds, status.data.reconnectToken);
        break;
    }
    this.#parts.board.publish();
  }

  #connected({ timestamp, data }: StatusNamed<"connected">): void {
    this.served = true;
    this.#parts.position.connected(this.#parts.around.now(), timestamp);
    this.#parts.pass.accepted(data.expiresInSeconds, data.reconnectToken);
    this.connection?.expectHeartbeats(data.limits.heartbeatSeconds);
    this.#parts.board.set({
      phase: this.#parts.hold.asked ? "paused" : "live",
      connected: true,
      retryAt: null,
      environment: { id: data.environmentId, name: data.environmentName },
      services: data.services,
      filter: data.filter,
      upstream: data.upstream,
      viewers: data.viewers,
      limits: data.limits,
      version: data.version,
    });
    this.push([{ kind: "notice", notice: "connected", timestamp, data }]);
    if (data.resume?.outcome === "partial") {
      const { from, to, reason } = data.resume;
      this.#gap(timestamp, { from, to, count: null, reason });
    }
    this.#parts.searches.connected();
    this.sendWish();
  }

  #filtered({ timestamp, data }: StatusNamed<"filter">): void {
    const replay = this.#parts.wishes.taken(data.filter);
    if (replay > 0) {
      // What comes now has partly been here before, and is wanted again.
      this.#seen.clear();
      this.#parts.position.replayed(replay);
    }
    this.#parts.board.set({ filter: data.filter });
    this.push([{ kind: "notice", notice: "filter", timestamp, data: { ...data, replay } }]);
    this.sendWish();
  }

  /** Passes a notice on that stands in the relay's history, unless it has come before; whether it is new. */
  #notice(status: StatusNamed<"reconnecting" | "live" | "gap" | "lost">): boolean {
    const { message, timestamp, data } = status;
    const fresh = this.#seen.add(`${message} ${timestamp} ${JSON.stringify(data)}`);
    if (fresh) this.push([{ kind: "notice", notice: message, timestamp, data } as NoticeEntry]);
    return fresh;
  }

  #hole(phase: "gap" | "lost"): void {
    if (!this.#parts.hold.asked) this.#parts.board.set({ phase });
  }

  #gap(timestamp: string, data: Gap): void {
    this.push([{ kind: "notice", notice: "gap", timestamp, data }]);
    this.#hole("gap");
  }

  /** Something has come that can't be read; whether to come back for what was in it. The second time, it is a gap. */
  unreadable(): boolean {
    const place = this.#parts.position.lastId ?? "";
    const again = this.#poison === place;
    this.#poison = place;
    if (again) {
      const timestamp = new Date(this.#parts.around.now()).toISOString();
      this.#gap(timestamp, { from: null, to: null, count: null, reason: "unreadable" });
    }
    return !again;
  }

  /** Nothing is sent before `connected`: what is wanted is asked for then. */
  send(message: object): void {
    if (this.served) this.connection?.send(message);
  }

  /** Asks for the filter that is wanted, if one is. */
  sendWish(): void {
    const command = this.served ? this.#parts.wishes.next() : null;
    if (command !== null) this.send(command);
  }

  /** Passes entries on. */
  push(entries: readonly Entry[]): void {
    if (entries.length > 0) this.#parts.delivery.push(entries);
  }
}

/** Milliseconds from the record that was served last to the environment's newest. An id begins with its stamp. */
function behind(lastLogAt: string | null, lastId: string | null): number {
  if (lastLogAt === null || lastId === null) return 0;
  const milliseconds = Date.parse(lastLogAt) - Date.parse(lastId.slice(0, lastLogAt.length));
  return Math.max(0, milliseconds || 0);
}
