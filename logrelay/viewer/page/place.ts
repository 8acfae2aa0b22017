/** Where this tab has got to, for a reload: it goes on from the same record. Kept for the tab only, and not for long. */

const KEY = "logrelay.place";
const FRESH = 10 * 60_000; // milliseconds after which a reload begins anew

interface Kept {
  address: string;
  lastId: string;
  at: number;
}

/** The view's address without its fragment, where a link may have a secret. */
function here(): string {
  return location.origin + location.pathname + location.search;
}

export function keepPlace(lastId: string | null): void {
  try {
    if (lastId === null) sessionStorage.removeItem(KEY);
    else
      sessionStorage.setItem(KEY, JSON.stringify({ address: here(), lastId, at: Date.now() } satisfies Kept));
  } catch {
    // Without storage, a reload begins anew.
  }
}

/** The id to go on from, if this is a reload of the same view. It is given once. */
export function keptPlace(): string | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Kept | null;
    sessionStorage.removeItem(KEY);
    const [entry] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
    const same = kept !== null && kept.address === here() && Date.now() - kept.at < FRESH;
    return same && entry?.type === "reload" ? kept.lastId : null;
  } catch {
    return null;
  }
}
