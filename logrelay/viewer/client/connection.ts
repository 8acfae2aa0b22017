// One socket: what comes is parsed, what goes is kept under the relay's limit, and silence is an end.
import { LONGEST } from "./delays.js";
import type { Surroundings, SocketLike } from "./surroundings.js";

const SECOND = 1000; // milliseconds
const MESSAGES = 10; // that are sent within a second at most; the relay ends a connection at more than 20
const QUIET = 60 * SECOND; // after which a peer of which nothing came is gone
const HEARTBEATS = 2.4; // of which none came, the same

/** What a connection tells its owner. Nothing comes after `ended`. */
export interface ConnectionOwner {
  opened(): void;
  message(body: Readonly<Record<string, unknown>>): void;
  /** Something came that isn't a whole JSON object. */
  unreadable(): void;
  ended(code: number, reason: string): void;
}

export class Connection {
  #socket: SocketLike | null;
  #open = false;
  #lastAt: number;
  #quiet = QUIET;
  #cancelQuiet: () => void = () => undefined;
  #cancelSending: (() => void) | null = null;
  #outbox: string[] = [];
  #sentAt: number[] = [];

  constructor(
    private readonly surroundings: Surroundings,
    private readonly owner: ConnectionOwner,
    url: string,
    protocols: string[] | undefined,
  ) {
    this.#lastAt = surroundings.now();
    const socket = protocols ? new surroundings.WebSocket(url, protocols) : new surroundings.WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#open = true;
      this.#lastAt = surroundings.now();
      owner.opened();
      this.#send();
    };
    socket.onmessage = (event: { data: unknown }) => this.#received(event.data);
    socket.onclose = (event: { code: number; reason: string }) => this.#over(event.code, event.reason);
    socket.onerror = () => undefined; // a close follows, and says no less
    this.#watch();
  }

  /** Silence is measured against the relay's own heartbeats where those come more rarely than usual. */
  expectHeartbeats(seconds: number): void {
    this.#quiet = Math.min(LONGEST, Math.max(QUIET, seconds * SECOND * HEARTBEATS || 0));
  }

  /** Sends a message, in order, later if there were many just now; unless the connection ends before. */
  send(message: object): void {
    this.#outbox.push(JSON.stringify(message));
    this.#send();
  }

  /** Looks for a silence that nobody could notice while the machine or the page slept. */
  look(): void {
    this.#cancelQuiet();
    this.#watch();
  }

  /** Leaves without waiting for the peer, who may not be there any more. Nothing is told of it. */
  drop(): void {
    const socket = this.#release();
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    try {
      socket.close(1000);
    } catch {
      // A socket that can't be closed is as good as closed.
    }
  }

  #release(): SocketLike | null {
    const socket = this.#socket;
    this.#socket = null;
    this.#outbox = [];
    this.#cancelQuiet();
    this.#cancelSending?.();
    return socket;
  }

  #over(code: number, reason: string): void {
    if (this.#release() !== null) this.owner.ended(code, reason);
  }

  #received(data: unknown): void {
    if (typeof data !== "string") return;
    this.#lastAt = this.surroundings.now();
    let body: unknown;
    try {
      body = JSON.parse(data);
    } catch {
      this.owner.unreadable();
      return;
    }
    if (typeof body === "object" && body !== null) this.owner.message(body as Record<string, unknown>);
  }

  #watch(): void {
    const left = this.#lastAt + this.#quiet - this.surroundings.now();
    if (left > 0) {
      this.#cancelQuiet = this.surroundings.later(() => this.#watch(), left);
      return;
    }
    this.drop();
    this.owner.ended(1006, `nothing came for ${Math.round(this.#quiet / SECOND)} s`);
  }

  #send(): void {
    while (this.#socket !== null && this.#open && this.#outbox.length > 0 && this.#cancelSending === null) {
      const now = this.surroundings.now();
      this.#sentAt = this.#sentAt.filter((at) => now - at < SECOND);
      const [oldest] = this.#sentAt;
      if (this.#sentAt.length >= MESSAGES && oldest !== undefined) {
        this.#cancelSending = this.surroundings.later(
          () => {
            this.#cancelSending = null;
            this.#send();
          },
          oldest + SECOND - now,
        );
        return;
      }
      this.#sentAt.push(now);
      this.#socket.send(this.#outbox.shift() as string);
    }
  }
}
