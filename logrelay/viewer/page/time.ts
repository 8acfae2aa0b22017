/** How moments look: in the reader's zone, in UTC or any other, relative, and to the nanosecond where wanted. */

export type Clock = "time" | "full" | "relative";

export interface TimeLook {
  clock: Clock;
  zone: string; // "local", "UTC" or a name of the tz database
  nanoseconds: boolean;
}

const formats = new Map<string, Intl.DateTimeFormat>();
const MINUTE = 60_000;

/** The zones to choose from. Browsers that don't list them offer two. */
export function zones(): string[] {
  const listed =
    (Intl as { supportedValuesOf?: (key: string) => string[] }).supportedValuesOf?.("timeZone") ?? [];
  return ["local", "UTC", ...listed.filter((zone) => zone !== "UTC")];
}

export function known(zone: string): boolean {
  if (zone === "local") return true;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

// A minute's date and hour are formatted once: a DateTimeFormat for each line would cost more than all else.
let minute = { at: NaN, zone: "", date: "", clock: "" };

/** A stamp given as milliseconds and as its text (for the digits that milliseconds have not). */
export function stamp(milliseconds: number, text: string, look: TimeLook, now: number): string {
  if (look.clock === "relative") return ago(now - milliseconds);
  const start = Math.floor(milliseconds / MINUTE) * MINUTE;
  if (minute.at !== start || minute.zone !== look.zone) minute = inZone(start, look.zone);
  const rest = milliseconds - start;
  const seconds = String(Math.floor(rest / 1000)).padStart(2, "0");
  const fraction = look.nanoseconds ? nanoseconds(text) : String(Math.floor(rest % 1000)).padStart(3, "0");
  const clock = `${minute.clock}:${seconds}.${fraction}`;
  return look.clock === "full" ? `${minute.date} ${clock}` : clock;
}

function inZone(start: number, zone: string): typeof minute {
  if (zone === "UTC") {
    const text = new Date(start).toISOString();
    return { at: start, zone, date: text.slice(0, 10), clock: text.slice(11, 16) };
  }
  const parts = new Map(
    formatFor(zone)
      .formatToParts(start)
      .map(({ type, value }) => [type, value]),
  );
  const date = `${parts.get("year")}-${parts.get("month")}-${parts.get("day")}`;
  return { at: start, zone, date, clock: `${parts.get("hour")}:${parts.get("minute")}` };
}

function formatFor(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en", {
      timeZone: zone === "local" ? undefined : zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
    });
    formats.set(zone, format);
  }
  return format;
}

/** The nine digits after the point of a stamp's text, however many it has. */
export function nanoseconds(text: string): string {
  const match = /\.(\d{1,9})/.exec(text);
  return (match?.[1] ?? "").padEnd(9, "0");
}

/** The stamp a nanosecond, and so many milliseconds, later than the one that an id begins with. */
export function justAfter(id: string, milliseconds = 0): string {
  const later = Number(nanoseconds(id)) + 1 + milliseconds * 1_000_000;
  const second = Date.parse(`${id.slice(0, 19)}Z`) + Math.floor(later / 1_000_000_000) * 1000;
  const text = new Date(second).toISOString().slice(0, 19);
  return `${text}.${String(later % 1_000_000_000).padStart(9, "0")}Z`;
}

/** A length of time in one or two units: "350 ms", "4 s", "3 min", "2 h 5 min", "3 d". */
export function span(milliseconds: number): string {
  const length = Math.max(0, milliseconds);
  if (length < 1000) return `${Math.round(length)} ms`;
  if (length < 10_000) return `${(Math.floor(length / 100) / 10).toFixed(1)} s`;
  if (length < MINUTE) return `${Math.floor(length / 1000)} s`;
  if (length < 60 * MINUTE) return `${Math.floor(length / MINUTE)} min`;
  const hours = Math.floor(length / (60 * MINUTE));
  if (hours >= 48) return `${Math.floor(hours / 24)} d`;
  const minutes = Math.floor(length / MINUTE) % 60;
  return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
}

function ago(milliseconds: number): string {
  if (milliseconds < 1000) return "now";
  return `${span(milliseconds).replace(/\.\d/, "")} ago`;
}
