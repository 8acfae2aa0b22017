// Filter changes: asked for in order, answered in order, kept over reconnects.
import type { ErrorMessage, Filter, FilterCommand } from "./wire.js";
import type { FilterWish } from "./types.js";

/** Why a filter didn't take effect. `message` is the relay's own sentence where the relay refused it. */
export class FilterError extends Error {
  override readonly name = "FilterError";

  constructor(
    /** The relay's code, or `superseded` by a later change, or `closed`. */
    readonly code: ErrorMessage["code"] | "superseded" | "closed",
    message: string,
  ) {
    super(message);
  }
}

interface Wish {
  readonly command: FilterCommand;
  resolve(filter: Filter): void;
  reject(error: FilterError): void;
}

export class Wishes {
  /** The last filter that the relay has taken, for the address of the next connection. */
  accepted: FilterWish;
  #asked: Wish[] = []; // sent, and not yet answered
  #unsent: Wish | null = null;

  constructor(filter: FilterWish) {
    this.accepted = filter;
  }

  /** Wants another filter; nothing is sent yet. Only the latest of those that weren't sent is kept. */
  want(filter: FilterWish, replay: number): Promise<Filter> {
    this.#unsent?.reject(new FilterError("superseded", "another filter was asked for since"));
    return new Promise((resolve, reject) => {
      this.#unsent = { command: command(filter, replay), resolve, reject };
    });
  }

  /** The message to send now, if there is one; one at a time, so that the latest wish wins. */
  next(): FilterCommand | null {
    const wish = this.#asked.length === 0 ? this.#unsent : null;
    if (wish === null) return null;
    this.#unsent = null;
    this.#asked.push(wish);
    return wish.command;
  }

  /** The relay has echoed a filter; how much of the past it sends through it. */
  taken(echoed: Filter): number {
    const wish = this.#asked.shift();
    if (wish === undefined) return 0;
    const { services = [], search = "", severity = null } = wish.command;
    this.accepted = { services, search, severity };
    wish.resolve(echoed);
    return wish.command.replay ?? 0;
  }

  /** The relay has sent an error; whether it was the answer to a filter. */
  refused(error: ErrorMessage): boolean {
    if (error.code !== "filter_invalid") return false;
    const wish = this.#asked.shift();
    wish?.reject(new FilterError(error.code, error.message));
    return wish !== undefined;
  }

  /** The connection is gone, and with it the answers: what was asked for is asked for again. */
  disconnected(): void {
    const [wish] = this.#asked.splice(0);
    if (wish === undefined) return;
    if (this.#unsent === null) this.#unsent = wish;
    else wish.reject(new FilterError("superseded", "another filter was asked for since"));
  }

  closed(): void {
    for (const wish of [...this.#asked.splice(0), this.#unsent]) {
      wish?.reject(new FilterError("closed", "the stream is closed"));
    }
    this.#unsent = null;
  }
}

function command(filter: FilterWish, replay: number): FilterCommand {
  const { services = [], search = "", severity = null } = filter;
  return { type: "filter", services: [...services], search, severity, ...(replay > 0 ? { replay } : {}) };
}
