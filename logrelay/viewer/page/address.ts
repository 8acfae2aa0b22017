/** The page's address: which relay, which environment, and the view, so that a link leads to the same lines. */

import { baseOf } from "./api.js";
import { queryOf, type View } from "./query.js";

export class Address {
  /** The path under which the relay lives. */
  readonly base: string;
  environmentId: string | null;

  constructor(path: string) {
    const { base, environmentId } = baseOf(path);
    this.base = base;
    this.environmentId = environmentId;
  }

  /** The relay's own address, for the client. */
  get relay(): string {
    return `${location.origin}${this.base}`;
  }

  link(view: View): string {
    return `${location.origin}${this.path(this.environmentId ?? "")}${queryOf(view)}`;
  }

  /** Shows a view in the address bar. */
  show(view: View): void {
    if (this.environmentId) history.replaceState(null, "", this.link(view));
  }

  /** Goes to another environment; the browser's way back leads to the one before. */
  go(environmentId: string): void {
    this.environmentId = environmentId;
    history.pushState(null, "", this.path(environmentId));
  }

  /** The browser shows another address; whether that is another environment's. */
  follow(path: string): boolean {
    const { environmentId } = baseOf(path);
    if (environmentId === this.environmentId) return false;
    this.environmentId = environmentId;
    return true;
  }

  private path(environmentId: string): string {
    return `${this.base}/environments/${encodeURIComponent(environmentId)}`;
  }
}
