/**
 * Where records come from: a service's deployment's instance, kept once each and only as long as a record is held
 * that came from there. So days of ever new deployments take no more memory than the records themselves.
 */

import type { LogRecord } from "./model.js";

export interface Source {
  readonly serviceId: string | null;
  readonly service: string;
  readonly deploymentId: string | null;
  readonly instanceId: string | null;
}

interface Held extends Source {
  readonly key: string;
  records: number;
}

/** The source of what is no record, and never a record's. */
export const NOWHERE = 0xffffffff;

export class Sources {
  private readonly numbers = new Map<string, number>();
  private readonly held: (Held | null)[] = [];
  private readonly free: number[] = [];

  /** How many are held. */
  get size(): number {
    return this.numbers.size;
  }

  /** The number of a record's source, which has one record more from now on. */
  take(record: LogRecord): number {
    const { serviceId, serviceName, deploymentId, instanceId } = record;
    const key = `${serviceId}\n${serviceName}\n${deploymentId}\n${instanceId}`;
    const known = this.numbers.get(key);
    if (known !== undefined) {
      this.held[known]!.records += 1;
      return known;
    }
    const number = this.free.pop() ?? this.held.length;
    const service = serviceName ?? serviceId ?? "";
    this.held[number] = { key, records: 1, serviceId, service, deploymentId, instanceId };
    this.numbers.set(key, number);
    return number;
  }

  /** A record is no longer held; with its last one a source is forgotten, and its number given to another. */
  release(number: number): void {
    const source = this.held[number];
    if (!source) return;
    source.records -= 1;
    if (source.records > 0) return;
    this.held[number] = null;
    this.numbers.delete(source.key);
    this.free.push(number);
  }

  at(number: number): Source | null {
    return this.held[number] ?? null;
  }

  /** How many records are held of each service, by its name. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const source of this.held) {
      if (source) counts.set(source.service, (counts.get(source.service) ?? 0) + source.records);
    }
    return counts;
  }
}
