// The state that is shown, and who is told of it.
import type { Surroundings } from "./surroundings.js";
import type { Phase, StreamEvents, StreamState } from "./types.js";

type Listeners = { [Name in keyof StreamEvents]: Set<(event: StreamEvents[Name]) => void> };

/** Keeps the snapshot of the state. A change of the phase is told at once, others with the next `publish`. */
export class Board {
  #state: StreamState;
  #told: StreamState;
  readonly #listeners: Listeners = { entries: new Set(), state: new Set(), error: new Set() };

  constructor(
    private readonly surroundings: Surroundings,
    environmentId: string,
  ) {
    this.#state = this.#told = Object.freeze({
      phase: "connecting",
      since: surroundings.now(),
      attempt: 0,
      retryAt: null,
      close: null,
      connected: false,
      environment: { id: environmentId, name: null },
      services: [],
      filter: null,
      upstream: null,
      viewers: null,
      lastFrameAt: null,
      lastLogAt: null,
      lag: { entries: 0, milliseconds: 0 },
      limits: null,
      version: null,
    } satisfies StreamState);
  }

  get state(): StreamState {
    return this.#state;
  }

  get listening(): boolean {
    return this.#listeners.entries.size > 0;
  }

  on<Name extends keyof StreamEvents>(name: Name, listener: (event: StreamEvents[Name]) => void): () => void {
    this.#listeners[name].add(listener);
    return () => void this.#listeners[name].delete(listener);
  }

  /** Tells listeners; one that throws keeps nobody else from being told, and its error isn't swallowed. */
  emit<Name extends keyof StreamEvents>(name: Name, event: StreamEvents[Name]): void {
    for (const listener of [...this.#listeners[name]]) {
      try {
        listener(event);
      } catch (error) {
        report(error);
      }
    }
  }

  set(changes: Partial<Omit<StreamState, "since">>): void {
    const phase: Phase = changes.phase ?? this.#state.phase;
    const moved = phase !== this.#state.phase;
    const since = moved ? this.surroundings.now() : this.#state.since;
    this.#state = Object.freeze({ ...this.#state, ...changes, since });
    if (moved) this.publish();
  }

  publish(): void {
    if (this.#state === this.#told) return;
    this.#told = this.#state;
    this.emit("state", this.#state);
  }
}

/** Shows an error as if nobody had caught it, which is what a listener's author expects. */
function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else
    queueMicrotask(() => {
      throw error;
    });
}
