/** The relay's HTTP side: which environments there are. */

import type { Environment } from "./model.js";

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly auth: string, // how the relay tells callers apart, where it says so
  ) {
    super(message);
  }
}

/** The path under which the relay lives: the page is at its root or at /environments/{id} below it. */
export function baseOf(path: string): { base: string; environmentId: string | null } {
  const match = /^(.*)\/environments\/([^/]+)\/?$/.exec(path);
  if (match) return { base: match[1]!, environmentId: decoded(match[2]!) };
  return { base: path.replace(/\/(index\.html)?$/, ""), environmentId: null };
}

/** What a part of a path says; one that is no text stands for itself, and the relay will know of no such environment. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function get(url: string, headers: Record<string, string>): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    headers: { Accept: "application/json", ...headers },
    credentials: "same-origin",
  });
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (response.ok) return body;
  const error = body["error"] as { message?: unknown } | undefined;
  throw new Refused(
    response.status,
    typeof error?.message === "string" ? error.message : response.statusText,
    typeof body["auth"] === "string" ? body["auth"] : "",
  );
}

/** Those that the caller may see. Throws Refused for an answer that is none, TypeError where nobody answers. */
export async function environments(base: string, headers: Record<string, string>): Promise<Environment[]> {
  const body = await get(`${base}/api/environments`, headers);
  return Array.isArray(body["environments"]) ? (body["environments"] as Environment[]) : [];
}
