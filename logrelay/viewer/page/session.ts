/**
 * One environment being watched: the client's stream, what it brought, and the requests for what is older.
 * Knows nothing of elements; tells the page what has changed.
 */

import {
  FilterError,
  LogStream,
  type Entry,
  type Gap,
  type HistoryPage,
  type StreamState,
  type CredentialSource,
} from "../client/index.js";
import { Above } from "./above.js";
import { Deployments } from "./deployments.js";
import { Groups } from "./groups.js";
import { Joining } from "./joining.js";
import { recordFrom } from "./lookback.js";
import type { LogRecord, RelayFilter } from "./model.js";
import { matches, type AttributeTerm } from "./query.js";
import type { Ring } from "./ring.js";

const TAIL = 1000; // records of the past to begin with
const REPLAY = 2000; // that a change of the filter reads again
const PAGE = 500; // older records that are asked for at once
const AROUND = 100; // records before the one that is shown with what lies around it
const RECENT = 2000; // milliseconds that a record may be older than the watching of it, and still be new
const PATIENCE = 3000; // milliseconds that the stream waits for a look back
const BATCH = 1000; // entries that are taken within a frame, which a phone has time for, too
const HELD = 3000; // entries between a reader and the oldest one, below which the stream is held

export interface SessionEvents {
  grown(regrouped: boolean): void;
  grownAbove(): void;
  cleared(): void;
  state(state: StreamState): void;
  unauthenticated(): void;
}

/** Where to begin: at the newest without either, with what lies around a record, or after the last one seen. */
export interface Place {
  at?: string;
  after?: string;
}

/** Whether older records can be had: not asked for, on their way, none, no room for them, or not just now. */
type Older = "idle" | "loading" | "done" | "full" | "stopped";

export class Session {
  readonly groups: Groups;
  filter: RelayFilter = { services: [], search: "", severity: null };
  attributes: readonly AttributeTerm[] = [];
  /** Records that came in the current second, and in the one before. */
  rate = 0;
  /** Milliseconds from the newest record's stamp until it was here, or null. */
  lag: number | null = null;
  olderState: Older = "idle";
  /** Why the last look at what is older ended. */
  olderReason: HistoryPage["reason"] = null;
  held = false;
  private events!: SessionEvents;
  private stream: LogStream | null = null;
  private environmentId = "";
  private counted = 0;
  private clearedAt = 0;
  private connectedBefore = false;
  private taken = { filter: this.filter, attributes: this.attributes }; // the last that the relay didn't refuse
  private further: { before: string; above: string | null } | null = null; // where the last look back ended
  private readonly above: Above;
  private readonly joining = new Joining();
  private readonly deployments = new Deployments();
  private round = 0;

  constructor(
    readonly ring: Ring,
    private readonly base: string,
    private readonly credential: CredentialSource,
  ) {
    this.groups = new Groups(ring);
    this.above = new Above(ring, (record) => this.wanted(record));
    setInterval(() => {
      this.rate = this.counted;
      this.counted = 0;
    }, 1000);
  }

  /** Says who is told what changes; before anything is started. */
  listen(events: SessionEvents): void {
    this.events = events;
  }

  get state(): StreamState | null {
    return this.stream?.state ?? null;
  }

  /** The stamp of the newest entry, in milliseconds, or null. */
  get newest(): number | null {
    return this.ring.length ? this.ring.time(this.ring.end - 1) : null;
  }

  /** The place to go on from after a reload. */
  get lastId(): string | null {
    return this.stream?.lastId ?? null;
  }

  get running(): boolean {
    return this.stream !== null && this.stream.state.phase !== "closed";
  }

  /** Watches an environment from now on; resolves when a record that was asked for is here, or can't be had. */
  async start(environmentId: string, place: Place = {}): Promise<number | null> {
    this.stream?.close();
    this.environmentId = environmentId;
    this.taken = { filter: this.filter, attributes: this.attributes };
    this.round += 1;
    this.clear();
    this.connectedBefore = false;
    this.held = false;
    const id = place.at ?? place.after;
    const stream = new LogStream({
      base: this.base,
      environmentId,
      filter: this.filter,
      tail: TAIL,
      batch: BATCH,
      ...(id ? { lastId: id } : {}),
      credential: this.credential,
    });
    this.stream = stream;
    stream.on("state", (state) => stream === this.stream && this.events.state(state));
    stream.on("error", (error) => {
      if (error.code === "unauthenticated" || error.code === "expired") this.events.unauthenticated();
    });
    stream.on("entries", (entries) => stream === this.stream && this.show(this.joining.take(entries)));
    if (!id) return null;
    return this.bringAround(stream, id, place.at ? AROUND : TAIL);
  }

  restart(place: Place = {}): Promise<number | null> {
    return this.start(this.environmentId, place);
  }

  /** Another filter on the live stream. Gives null, or the relay's sentence about what is wrong with it. */
  async want(filter: RelayFilter, attributes: readonly AttributeTerm[]): Promise<string | null> {
    const wanted = { filter, attributes };
    Object.assign(this, wanted);
    if (!this.stream) return null; // nothing is watched yet; what will be begins with it
    if (!this.running) {
      await this.restart();
      return null;
    }
    try {
      await this.stream.setFilter(filter, { replay: REPLAY });
      this.taken = wanted;
      return null;
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      if (error.code === "superseded" || error.code === "closed") return null;
      if (this.filter === filter) Object.assign(this, this.taken); // the relay goes on with that one
      return error.message;
    }
  }

  reconnect(): void {
    this.stream?.reconnect();
  }

  /** Holds the stream while what its reader looks at would be pushed out otherwise. */
  guard(top: number, following: boolean): void {
    const near = !following && this.ring.full && top - this.ring.first < HELD;
    if (near && !this.held) this.stream?.pause();
    else if (!near && this.held && following) this.stream?.resume();
    else return;
    this.held = near;
  }

  /** Brings older records that the filter lets through, before those that are here. */
  async older(): Promise<void> {
    if (this.olderState !== "idle" || !this.stream || !this.state?.connected) return;
    if (this.ring.full) {
      this.olderState = "full";
      return;
    }
    // Without a line to look back from, the look begins where the filter's own look back ended, which was all it had.
    const oldest = this.ring.oldestId();
    const from = oldest ?? new Date(this.clearedAt).toISOString();
    // What was looked at isn't looked at again, unless lines have been let go since.
    const before = this.further?.above === oldest ? this.further.before : from;
    const { round } = this;
    this.olderState = "loading";
    const state = await this.bring(this.stream, before, PAGE);
    if (round === this.round) this.olderState = state; // what is shown now may be looking back itself
  }

  /** A look back that has stopped on its way may go on. */
  olderAgain(): void {
    if (this.olderState === "stopped") this.olderState = "idle";
  }

  /** Older records in which a text occurs, newest first. */
  search(search: string, before: string | null, limit: number): ReturnType<LogStream["history"]> | null {
    return this.stream?.history({ search, limit, ...(before ? { before } : {}) }) ?? null;
  }

  private async bringAround(stream: LogStream, id: string, before: number): Promise<number | null> {
    // The stream gives what came after the record, and a look back what came before; the record itself is in neither.
    const round = this.round;
    this.olderState = "loading";
    this.joining.begin(id);
    // A rare filter or a slow Railway must not hold back what is written now.
    const timer = setTimeout(() => round === this.round && this.show(this.joining.shown()), PATIENCE);
    try {
      const record = await recordFrom(stream, id, () => round === this.round).catch(() => null);
      if (round !== this.round) return null;
      if (record) this.putAbove([record]);
      const state = await this.bring(stream, id, before);
      if (round !== this.round) return null;
      this.olderState = state;
    } finally {
      clearTimeout(timer);
    }
    this.show(this.joining.over());
    return this.ring.find(id);
  }

  private async bring(stream: LogStream, before: string, limit: number): Promise<Older> {
    const round = this.round;
    let brought = 0;
    let last: HistoryPage | null = null;
    try {
      for await (const page of stream.history({ before, limit })) {
        if (round !== this.round) return "idle";
        last = page;
        brought += page.records.length;
        if (!this.putAbove(page.records, page.gaps)) return "full";
        if (page.next !== null) this.further = { before: page.next, above: this.ring.oldestId() };
      }
    } catch {
      return round === this.round ? "done" : "idle"; // a relay without `history`, or a place that nobody knows
    }
    this.olderReason = last?.reason ?? null;
    if (!last || last.next === null) return "done";
    return brought >= limit ? "idle" : "stopped";
  }

  private putAbove(records: readonly LogRecord[], gaps: readonly Gap[] = []): boolean {
    const end = this.ring.first;
    const room = this.above.put(this.joining.fresh(records), gaps);
    this.groups.addedAbove(end);
    if (this.ring.first < end) this.events.grownAbove();
    return room;
  }

  private wanted(record: LogRecord): boolean {
    return this.attributes.length === 0 || matches(JSON.stringify(record.attributes), this.attributes);
  }

  private clear(): void {
    this.ring.clear();
    this.groups.clear();
    this.deployments.clear();
    this.joining.clear();
    this.above.clear();
    this.further = this.olderReason = null;
    this.clearedAt = Date.now();
    this.olderState = "idle";
    this.events.cleared();
  }

  private show(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    let regrouped = false;
    for (const entry of entries) {
      if (entry.kind === "notice") this.notice(entry);
      else if (!this.joining.repeats(entry.record) && this.wanted(entry.record))
        regrouped = this.record(entry.record) || regrouped;
    }
    this.events.grown(regrouped);
  }

  private record(record: LogRecord): boolean {
    this.deployment(record);
    const number = this.ring.push(record);
    const lag = Math.max(0, Date.now() - this.ring.time(number));
    if (this.ring.time(number) > this.clearedAt - RECENT) {
      // What was read from the past is no measure of the present.
      this.lag = lag;
      this.counted += 1;
    }
    return this.groups.added(number) !== null;
  }

  /** A ruler where a service's records begin to come from a deployment that was not seen before. */
  private deployment({ serviceId, serviceName, deploymentId, id }: LogRecord): void {
    if (!this.deployments.begins(serviceId, deploymentId)) return;
    const data = { service: serviceName ?? serviceId, id: deploymentId };
    this.ring.pushNotice({ kind: "deployment", time: Date.parse(`${id.slice(0, 23)}Z`), data });
  }

  private notice(entry: Extract<Entry, { kind: "notice" }>): void {
    if (entry.notice === "filter") {
      this.round += 1;
      this.clear();
      return;
    }
    if (entry.notice === "connected" && !this.connectedBefore) {
      this.connectedBefore = true;
      return;
    }
    if (entry.notice === "disconnected" && entry.data.retryAt === null) return; // the page says that it is over
    const { notice: kind, timestamp } = entry;
    this.ring.pushNotice({
      kind,
      time: Date.parse(timestamp),
      data: { ...entry.data } as Record<string, unknown>,
    });
  }
}
