/** Every English text of the page, in one place. Functions where a text has values in it. */

const number = new Intl.NumberFormat("en");

export function count(value: number): string {
  return number.format(value);
}

function plural(value: number, one: string, many: string): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export const texts = {
  title: (environment: string): string => `${environment} · logrelay`,
  logs: "Logs",
  skip: "Skip to the log",

  header: {
    environment: "Environment",
    unnamed: "environment",
    connecting: "connecting",
    live: "live",
    quiet: (length: string): string => `quiet for ${length}`,
    reconnecting: (attempt: number, seconds: number): string =>
      seconds > 0 ? `reconnecting, try ${attempt} in ${seconds} s` : `reconnecting, try ${attempt}`,
    upstreamReconnecting: (attempt: number, seconds: number): string =>
      seconds > 0 ? `Railway is away, try ${attempt} in ${seconds} s` : "Railway is away, reconnecting",
    degraded: "Railway answers badly",
    refused: "Railway refuses",
    backfilling: (fetched: number): string => `filling a hole, ${plural(fetched, "line", "lines")} so far`,
    paused: "paused",
    gap: "lines are missing",
    holes: (holes: number): string => plural(holes, "gap", "gaps"),
    holesHint: "Places among the lines held where something is missing",
    closed: "ended",
    away: "not connected",
    hints: {
      live: "The relay is connected to Railway, and lines are coming in.",
      quiet: "Nothing is broken: all connections stand, and nobody has written a line for a while.",
      away: "Nothing is being watched yet.",
      connecting: "The relay is being asked for this environment's log.",
      reconnecting:
        "This page has lost the relay and comes back by itself. Nothing is missed if it is back in time.",
      upstream: "The relay has lost Railway and comes back by itself. What was written meanwhile is fetched.",
      paused: "The stream is held at the relay, so that what you read stays in memory.",
      gap: "A hole was announced; a ruler between the lines says where.",
      closed: "The stream has ended for good.",
    },
    freshness: (length: string): string => `Railway ${length}`,
    freshnessHint: "How long ago something came from Railway to the relay",
    viewers: (viewers: number): string => plural(viewers, "viewer", "viewers"),
    lag: (length: string): string => `own lag ${length}`,
    lagHint: "From a line's stamp until this page had it, by this machine's clock",
    rate: (lines: number): string => `${count(lines)}/s`,
    rateHint: "Lines that came in during the last second",
    now: "Try now",
    more: "Details of the connection",
  },

  connection: {
    relay: "This page and the relay",
    railway: "The relay and Railway",
    newest: "Newest line",
    rate: "Lines coming in",
    lag: "Own lag",
    viewers: "Viewers",
    held: "Lines held",
    missing: "Missing",
    missingIn: (holes: number): string => `lines in ${plural(holes, "place", "places")}`,
    version: "Relay's version",
    hole: "Show what is missing",
    connecting: (since: string): string => `connecting for ${since}`,
    connected: "connected",
    over: (why: string): string => `ended: ${why}`,
    lost: (since: string, attempt: number, wait: number | null, why: string): string =>
      `lost ${since} ago; try ${attempt} ${wait === null ? "under way" : `in ${wait} s`}${why ? ` (${why})` : ""}`,
    frame: (when: string): string => `heard from ${when}`,
    upstreamLive: (frame: string): string => (frame ? `connected, ${frame}` : "connected"),
    upstream: (state: string, attempt: number | null, wait: number | null, frame: string): string =>
      [
        state,
        attempt === null ? "" : `try ${attempt}${wait === null ? " under way" : ` in ${wait} s`}`,
        frame,
      ]
        .filter(Boolean)
        .join(", "),
    states: {
      connecting: "connecting",
      reconnecting: "lost",
      degraded: "answering badly",
      refused: "refused",
    } as Record<string, string>,
    perSecond: (lines: number): string => `${count(lines)} a second`,
    delay: (length: string, waiting: number): string =>
      waiting ? `${length}, ${plural(waiting, "line waits", "lines wait")} here` : length,
    viewersOf: (viewers: number, most: number | null): string =>
      most === null ? count(viewers) : `${count(viewers)} of at most ${count(most)}`,
  },

  bar: {
    label: "Filter",
    search: "Filter lines",
    placeholder: 'Filter: words, "a phrase", -not, @service:api, @level:warn',
    services: "Services",
    allServices: "All services",
    servicesChosen: (chosen: number): string => plural(chosen, "service", "services"),
    severity: "Lowest severity",
    levels: {
      all: "All levels",
      debug: "Debug and up",
      info: "Info and up",
      warn: "Warnings and up",
      error: "Errors only",
    },
    find: "Find",
    findPlaceholder: "Find and highlight",
    findLabel: "Find in the loaded lines, without filtering",
    matches: (matches: number): string => plural(matches, "match", "matches"),
    matchOf: (place: number, matches: number): string => `${count(place)} of ${count(matches)}`,
    previous: "Previous match",
    next: "Next match",
    older: "Search older",
    closeFind: "Close find",
    clear: "Clear the filter",
    remove: (what: string): string => `Remove ${what}`,
    attribute: (path: string, value: string, absent: boolean): string =>
      `${path} ${absent ? "≠" : "="} ${value}`,
    attributeHint: "Matched by this page, among the lines that the relay sends",
    unknown: (names: string): string => `No service is called ${names} yet`,
    onlyShort: "only",
    lines: (lines: number): string => count(lines),
    linesHint: "Lines of it that this page holds",
    allBut: (services: readonly string[]): string =>
      services.length === 1 ? `All but ${services[0]!}` : `All but ${count(services.length)}`,
    searchServices: "Search services",
    without: (service: string): string => `not ${service}`,
    withoutHint: "The other services of now are shown; one that is new stays hidden until it is chosen",
    completion: "Completions",
    completeService: "only this service",
    completeLevel: "this severity and up",
    only: (service: string): string => `Only ${service}`,
    onlyThis: (service: string): string => `only this service: ${service}`,
    hide: (service: string): string => `Hide ${service}`,
    show: (service: string): string => `Show ${service} too`,
    everything: "All services",
    fault: (place: number): string => `at character ${place}`,
  },

  list: {
    label: "Log lines",
    newer: (lines: number): string => (lines ? `${count(lines)} new` : "To the newest"),
    newerLabel: (lines: number): string => `${plural(lines, "new line", "new lines")}; go to the newest`,
    loadingOlder: "Loading older lines…",
    noOlder: "The beginning of what the relay has",
    keptOlder: "The beginning: Railway keeps nothing older",
    outageOlder: "Railway could not be asked for older lines",
    limitOlder: "The relay asks Railway for no more just now",
    fullOlder: "The page holds as many lines as it can; narrow the filter to look further back",
    unfoldLines: (lines: number): string => `+${count(lines)}`,
    unfold: (lines: number): string => `Show ${plural(lines, "more line", "more lines")}`,
    fold: "Fold",
    showAll: (size: string): string => `show all ${size}`,
    late: "late",
    lateHint: "Stamped before a line that had arrived earlier",
    truncated: "cut",
    truncatedHint: (size: string): string => `Cut at 64 KiB; it had ${size}`,
    redacted: (secrets: number): string => (secrets === 1 ? "redacted" : `redacted ×${secrets}`),
    redactedHint: (secrets: number): string => `${plural(secrets, "secret was", "secrets were")} taken out`,
    timeHint: (here: string, utc: string, ago: string): string => `${here}\n${utc} UTC\n${ago}`,
    empty: "(empty)",
    noSeverity: "no severity",
    severities: { debug: "DBG", info: "INF", warn: "WRN", error: "ERR", none: "···" },
    summary: (lines: number, errors: number, warnings: number): string =>
      `${plural(lines, "line", "lines")} in the last 15 seconds` +
      (errors ? `, ${plural(errors, "error", "errors")}` : "") +
      (warnings ? `, ${plural(warnings, "warning", "warnings")}` : ""),
    waiting: "Waiting for the first lines…",
    waitingHint: "The relay is connected; nothing has been written yet.",
    nothing: "Nothing matches this filter",
    nothingHint: "New lines that match will show up here by themselves.",
    connecting: "Connecting to the relay…",
    triedAgain: "This page tries again by itself.",
    around: "Showing what lies around one line.",
    aroundMissing: "That line could not be found; this is what came next.",
    backToLive: "Back to the live log",
  },

  rulers: {
    connected: "Connected again, nothing missed",
    connectedPartial: "Connected again, but a part could not be had",
    connectedNone: "Connected again, from now on",
    disconnected: "Connection to the relay lost",
    reconnecting: (reason: string): string => `The relay lost Railway${reason ? `: ${reason}` : ""}`,
    live: (lines: number): string =>
      lines ? `Railway is back, ${plural(lines, "line", "lines")} filled in` : "Railway is back",
    gap: (lines: number | null, reason: string): string =>
      `${lines === null ? "Lines are missing here" : `${plural(lines, "line is", "lines are")} missing here`}: ${reason}`,
    lost: (lines: number): string =>
      `This page fell behind: ${plural(lines, "line was", "lines were")} passed over`,
    draining: "The relay is about to restart",
    deployment: (service: string, id: string): string => `New deployment of ${service} (${id})`,
    reasons: {
      retention: "older than Railway keeps",
      limit: "too many to fetch",
      upstream_truncated: "Railway cut its answer",
      upstream_dropped: "Railway dropped them, the service wrote too fast",
      outage: "Railway could not be asked",
      too_large: "a line was too large",
      unreadable: "they could not be read",
      unknown_id: "the last line seen is not known any more",
    } as Record<string, string>,
  },

  drawer: {
    label: "Details of a line",
    close: "Close details",
    message: "Message",
    attributes: "Attributes",
    noAttributes: "No attributes",
    fields: {
      time: "Time",
      utc: "UTC",
      severity: "Severity",
      service: "Service",
      deployment: "Deployment",
      instance: "Instance",
      id: "Id",
      marks: "Marks",
    },
    copyLine: "Copy line",
    copyJson: "Copy JSON",
    copyValue: (name: string): string => `Copy ${name}`,
    filterBy: (name: string): string => `Filter by this ${name}`,
    filterOut: (name: string): string => `Filter out this ${name}`,
    permalink: "Copy link",
    around: "Show around",
    previous: "Previous line",
    next: "Next line",
  },

  older: {
    label: "Older matches",
    title: (what: string): string => `Older lines with “${what}”`,
    progress: (matches: number, time: string): string =>
      `${plural(matches, "match", "matches")}, searched back to ${time}`,
    starting: "Searching…",
    cancel: "Stop",
    more: "Search further back",
    done: (matches: number): string =>
      `${plural(matches, "match", "matches")} in all that the relay can reach`,
    kept: (matches: number): string => `${plural(matches, "match", "matches")} in all that Railway keeps`,
    outage: (matches: number, time: string): string =>
      `${plural(matches, "match", "matches")} back to ${time}; then Railway could not be asked`,
    limit: (matches: number, time: string): string =>
      `${plural(matches, "match", "matches")} back to ${time}; the relay asks Railway for no more just now`,
    stopped: (matches: number): string => `Stopped, ${plural(matches, "match", "matches")} so far`,
    failed: (reason: string): string => `The search failed: ${reason}`,
  },

  histogram: {
    label: (from: string, to: string): string =>
      `Lines by severity from ${from} to ${to}. Arrow keys move, Enter jumps.`,
    bucket: (time: string, total: number, errors: number, warnings: number): string =>
      `${time}: ${plural(total, "line", "lines")}` +
      (errors ? `, ${plural(errors, "error", "errors")}` : "") +
      (warnings ? `, ${plural(warnings, "warning", "warnings")}` : ""),
    span: (length: string, lines: number): string => `${plural(lines, "line", "lines")} over ${length}`,
  },

  actions: {
    follow: "Follow the newest line",
    wrap: "Wrap lines",
    settings: "Settings",
    download: "Download",
    help: "Help",
    menu: "More",
    copied: "Copied",
    copiedLines: (lines: number): string => `${plural(lines, "line", "lines")} copied`,
    notCopied: "The browser did not allow copying",
    copyView: "Copy a link to this view",
    downloads: { ndjson: "NDJSON", json: "JSON", csv: "CSV (spreadsheets)", text: "Text" },
    downloadLines: (lines: number): string => `Download ${plural(lines, "line", "lines")}`,
    downloadSelection: (lines: number): string =>
      `Download the ${plural(lines, "selected line", "selected lines")}`,
  },

  settings: {
    title: "Settings",
    theme: "Theme",
    themes: { system: "As the system", light: "Light", dark: "Dark" },
    clock: "Times",
    clocks: { time: "Time of day", full: "Date and time", relative: "How long ago" },
    zone: "Time zone",
    zones: { local: (name: string): string => `Local (${name})`, UTC: "UTC" },
    nanoseconds: "Show nanoseconds",
    wrap: "Wrap long lines",
    colours: "Colours of the lines themselves (ANSI)",
    grouped: "Fold stack traces",
    histogram: "Show the histogram",
    dense: "Compact lines",
    close: "Done",
    kept: "Kept in this browser.",
    signOut: "Forget my token",
    version: (version: string): string => `logrelay ${version}`,
    licences: "Licences",
    about: (held: number, limit: number): string =>
      `This page holds ${count(held)} of at most ${count(limit)} lines.`,
  },

  signin: {
    title: "Sign in",
    token: "Token",
    tokenHint: "It stays in this tab's memory and is never part of an address.",
    remember: "Remember it in this browser",
    submit: "Sign in",
    wrong: "The relay does not take this token.",
    expired: "The token has expired.",
    atApp: "Sign in at your app, then try again.",
    needsLink: "These logs are opened by a link from your app. Open them from there.",
    atAppButton: "Try again",
    link: "This link is used up or has expired. Ask for a new one.",
    needsToken: "You need a token for these logs.",
  },

  picker: {
    title: "Which environment?",
    none: "There is no environment that you may see.",
    unreachable: "The relay does not answer.",
    retry: "Try again",
    open: (name: string): string => `Open ${name}`,
    search: "Search environments",
    found: (found: number, all: number): string => `${count(found)} of ${count(all)}`,
    first: (listed: number): string =>
      `The relay lists the first ${count(listed)} only; others open by their address.`,
    other: "Use another token",
    unchosen: "No environment is chosen.",
    choose: "Choose an environment",
  },

  ended: {
    4400: "The relay does not understand this page's request.",
    4401: "Your sign-in is over.",
    4403: "You may not see this environment.",
    4404: "Railway knows no such environment, or the relay's token can't see it.",
    4429: "Too many people are watching this environment.",
    4502: "Railway refuses the relay's token.",
    other: "The stream has ended.",
    again: "Try again",
  } as Record<string, string>,

  language: {
    title: "In the filter",
    terms: [
      ["timeout refused", "both words, anywhere in the message"],
      ['"connection reset"', "this phrase"],
      ["-healthz", "without this word"],
      ["/took \\d{4,} ?ms/", "a pattern; upper and lower case count"],
      ["@service:api", "only this service"],
      ["@level:warn", "warnings and worse"],
      ["@user.plan:pro", "an attribute with this value; -@user.plan:pro without"],
    ] as const,
  },

  keys: {
    title: "Filter and keys",
    space: "Space",
    close: "Close",
    groups: { move: "Moving", find: "Finding", view: "View", take: "Taking away" },
    names: {
      down: "Next line",
      up: "Previous line",
      extendDown: "Select one more line down",
      extendUp: "Select one more line up",
      newest: "Newest line, follow",
      oldest: "Oldest line",
      follow: "Follow, or stop here",
      open: "Details of the line",
      close: "Close, or clear the selection",
      fold: "Unfold or fold the line",
      filter: "Filter",
      find: "Find and highlight",
      next: "Next match",
      previous: "Previous match",
      errorNext: "Next error",
      errorPrevious: "Previous error",
      around: "Show around the line",
      clear: "Clear the filter",
      wrap: "Wrap lines",
      clock: "Time of day, date, or how long ago",
      nanoseconds: "Nanoseconds",
      zone: "Local time or UTC",
      theme: "Light or dark",
      histogram: "Histogram",
      environment: "Choose an environment",
      connection: "State of the connection",
      settings: "Settings",
      copy: "Copy the line or the selection",
      link: "Copy a link to the line",
      viewLink: "Copy a link to this view",
      download: "Download",
      help: "This sheet",
    } as Record<string, string>,
  },
};
