// A React hook around LogStream. React is the page's own: it isn't bundled.
import { useMemo, useSyncExternalStore } from "react";
import { type Entry, LogStream, type StreamOptions, type StreamState } from "./index.js";

const KEPT = 1000; // entries

export interface LogStreamView {
  /** The newest entries, oldest first; a new array whenever some have come. */
  readonly entries: readonly Entry[];
  /** Null until the component is mounted, and on a server. */
  readonly state: StreamState | null;
  /** For filters, pauses and older records; null until the component is mounted. */
  readonly stream: LogStream | null;
}

export type LogStreamHookOptions = StreamOptions & {
  /** Entries to keep (default 1,000); older ones go. */
  readonly keep?: number;
};

const NOTHING: LogStreamView = { entries: [], state: null, stream: null };

/** Opens a stream with its first subscriber and closes it with its last, however often React mounts and unmounts. */
class Store {
  #view = NOTHING;
  #subscribers = new Set<() => void>();
  #open: LogStream | null = null;

  constructor(private readonly options: LogStreamHookOptions) {}

  readonly view = (): LogStreamView => this.#view;

  readonly subscribe = (changed: () => void): (() => void) => {
    this.#subscribers.add(changed);
    if (this.#open === null) this.#start();
    return () => {
      this.#subscribers.delete(changed);
      if (this.#subscribers.size === 0) this.#end();
    };
  };

  #start(): void {
    const stream = new LogStream(this.options);
    const keep = this.options.keep ?? KEPT;
    this.#open = stream;
    stream.on("entries", (batch) => {
      this.#show({ ...this.#view, entries: [...this.#view.entries, ...batch].slice(-keep) });
    });
    stream.on("state", (state) => this.#show({ ...this.#view, state }));
    this.#show({ entries: [], state: stream.state, stream });
  }

  #end(): void {
    const stream = this.#open;
    this.#open = null;
    this.#view = NOTHING;
    stream?.close();
  }

  #show(view: LogStreamView): void {
    if (this.#open === null) return;
    this.#view = view;
    for (const changed of [...this.#subscribers]) changed();
  }
}

/**
 * Follows one environment's logs while the component is mounted. Another base or environment is another stream; of the
 * other options those of the first render count. `stream.setFilter` changes the filter without a reconnect.
 */
export function useLogStream(options: LogStreamHookOptions): LogStreamView {
  const { base, environmentId } = options;
  // Callers write their options in place, so every render brings another object with the same in it.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const store = useMemo(() => new Store(options), [base, environmentId]);
  return useSyncExternalStore(store.subscribe, store.view, () => NOTHING);
}
