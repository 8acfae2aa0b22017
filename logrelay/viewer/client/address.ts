// Where to connect, and how a token travels with it.
import type { FilterWish } from "./types.js";

const OVERLAP = 10; // seconds; a relay that has restarted may have put late records before our place

/** The place in the stream to go on from. */
export type Place =
  { readonly lastId: string } | { readonly lastTimestamp: string } | { readonly tail: number };

export interface Asked {
  readonly base: string;
  readonly environmentId: string;
  readonly filter: FilterWish;
  readonly place: Place;
  readonly ticket: string | null;
}

/** The stream's address. The base may be relative to the page, and its scheme http or ws. */
export function address(asked: Asked): string {
  const page = typeof location === "undefined" ? undefined : location.href;
  const base = new URL(asked.base || "/", page);
  const folder = base.pathname.replace(/\/+$/, "");
  const url = new URL(
    base.origin + `${folder}/api/environments/${encodeURIComponent(asked.environmentId)}/logs/stream`,
  );
  url.protocol = base.protocol.replace(/^http/, "ws");
  const query = url.searchParams;
  query.set("batch", "1");
  for (const service of asked.filter.services ?? []) query.append("services", service);
  if (asked.filter.search) query.set("search", asked.filter.search);
  if (asked.filter.severity) query.set("severity", asked.filter.severity);
  for (const [name, value] of Object.entries(asked.place)) query.set(name, String(value));
  if ("lastId" in asked.place) query.set("overlap", String(OVERLAP));
  if (asked.ticket !== null) query.set("ticket", asked.ticket);
  return url.href;
}

/** A browser can't send headers with a WebSocket, but subprotocols; a token stays out of the address that way. */
export function subprotocols(token: string | null): string[] | undefined {
  return token === null ? undefined : ["logrelay.v1", `bearer.${base64url(token)}`];
}

function base64url(text: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
