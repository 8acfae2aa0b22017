// client/react.ts
import { useMemo, useSyncExternalStore } from "react";
import { LogStream } from "./logrelay-client.js";
var KEPT = 1e3;
var NOTHING = { entries: [], state: null, stream: null };
var Store = class {
  constructor(options) {
    this.options = options;
  }
  options;
  #view = NOTHING;
  #subscribers = /* @__PURE__ */ new Set();
  #open = null;
  view = () => this.#view;
  subscribe = (changed) => {
    this.#subscribers.add(changed);
    if (this.#open === null) this.#start();
    return () => {
      this.#subscribers.delete(changed);
      if (this.#subscribers.size === 0) this.#end();
    };
  };
  #start() {
    const stream = new LogStream(this.options);
    const keep = this.options.keep ?? KEPT;
    this.#open = stream;
    stream.on("entries", (batch) => {
      this.#show({ ...this.#view, entries: [...this.#view.entries, ...batch].slice(-keep) });
    });
    stream.on("state", (state) => this.#show({ ...this.#view, state }));
    this.#show({ entries: [], state: stream.state, stream });
  }
  #end() {
    const stream = this.#open;
    this.#open = null;
    this.#view = NOTHING;
    stream?.close();
  }
  #show(view) {
    if (this.#open === null) return;
    this.#view = view;
    for (const changed of [...this.#subscribers]) changed();
  }
};
function useLogStream(options) {
  const { base, environmentId } = options;
  const store = useMemo(() => new Store(options), [base, environmentId]);
  return useSyncExternalStore(store.subscribe, store.view, () => NOTHING);
}
export {
  useLogStream
};
