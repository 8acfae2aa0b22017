/** Puts the page together: address and credential, one session, and the parts that show it. */

import { environments, baseOf, Refused } from "./api.js";
import { colour } from "./colours.js";
import { commands } from "./commands.js";
import { button, byId, copy, el, say } from "./dom.js";
import { Drawer } from "./drawer.js";
import { lineOf, recordOf } from "./exports.js";
import { FilterBar, type Wish } from "./filterbar.js";
import { FindBar } from "./findbar.js";
import { build } from "./frame.js";
import { Header } from "./header.js";
import { Histogram } from "./histogram.js";
import { Keys } from "./keys.js";
import { Lines } from "./lines.js";
import type { Environment } from "./model.js";
import { banner, toast } from "./notes.js";
import { Older } from "./older.js";
import { downloadPanel, picker, serviceMenu, settingsPanel } from "./panels.js";
import { keepPlace, keptPlace } from "./place.js";
import { queryOf, typed, viewOf, type View } from "./query.js";
import { Ring } from "./ring.js";
import { Session } from "./session.js";
import { load, save } from "./settings.js";
import { SignIn } from "./signin.js";
import { Summary } from "./summary.js";
import { texts } from "./texts.js";
import { topNote as tellOlder } from "./topnote.js";
import type { StreamState } from "../client/index.js";

const SETTLED = 400; // milliseconds after which lines that follow another have come

build();
const settings = load();
const { base, environmentId: given } = baseOf(location.pathname);
let environmentId = given;
let listed: Environment[] = [];
let around: string | null = null;
const resumed = keptPlace();
const view = viewOf(location.search);
const signIn = new SignIn(base, async () => {
  try {
    listed = await environments(base, {});
    return true; // whoever has signed in at the app again
  } catch (error) {
    if (!(error instanceof Refused)) throw error; // nobody answers: the client tries again
    signIn.mode = error.auth;
    return false;
  }
});
byId("environment").toggleAttribute("disabled", signIn.narrow);
const ring = new Ring();
const initial = typed(view.q);
const session = new Session(
  ring,
  `${location.origin}${base}`,
  signIn.source,
  { grown, grownAbove, cleared, state, unauthenticated: () => signIn.refused() },
  {
    services: [...view.services, ...initial.services],
    search: initial.search,
    severity: initial.severity ?? view.severity,
  },
);
session.attributes = initial.attributes;

const lines = new Lines(session, settings, {
  open: (number) => show(number),
  service: (anchor, service) => services(anchor, service),
  selected: (number) => drawer.open && number !== null && show(number),
  followed,
  nearTop: () => void older(),
  drawn: (first, last) =>
    histogram.seen(ring.time(Math.max(ring.first, first)), ring.time(Math.max(ring.first, last - 1))),
});
const header = new Header(session);
const summary = new Summary();
const histogram = new Histogram(ring, () => settings, jump);
const bar = new FilterBar(apply);
const olderMatches = new Older(
  session,
  () => settings,
  (id) => void showAround(id),
);
const findBar = new FindBar(lines, ring, (wanted) => {
  drawer.close();
  olderMatches.open(wanted);
});
const drawer = new Drawer({
  copy: (text) => void copied(text, texts.actions.copied),
  copyLine: (number) => void copied(lineOf(ring.entry(number)), texts.actions.copied),
  copyJson: (number) =>
    void copied(JSON.stringify(recordOf(ring.entry(number)), null, 2), texts.actions.copied),
  link: (number) => void copied(link({ ...viewNow(), at: ring.id(number) }), texts.actions.copied),
  around: (number) => void showAround(ring.id(number)),
  filter: (path, value, absent) => bar.addAttribute({ path, value, absent }),
  only: (service) => bar.only(service),
  step: (by) => lines.step(by),
  closed: () => lines.scroller.focus(),
});

// -- what the session says ---------------------------------------------------------------------------------------

function grown(regrouped: boolean): void {
  if (regrouped) lines.list.refresh();
  lines.list.grown();
  session.guard(lines.list.following ? ring.end : lines.list.top(), lines.list.following);
  findBar.grown();
  summary.grown(ring);
  histogram.due();
  newer();
}

function grownAbove(): void {
  lines.list.grownAbove();
  findBar.again();
  histogram.due(0);
}

function cleared(): void {
  drawer.close();
  lines.cleared();
  findBar.again();
  summary.cleared();
  lines.list.follow(around === null);
  histogram.due(0);
  nothing();
}

function state(now: StreamState): void {
  header.show();
  colour(now.services.map((service) => service.name));
  bar.serve(now.services);
  bar.unknown(now.filter?.unknownServices ?? []);
  const name =
    now.environment.name ?? listed.find(({ id }) => id === environmentId)?.name ?? environmentId ?? "";
  say(byId("environment-name"), name || texts.header.unnamed);
  document.title = texts.title(name);
  nothing();
  if (now.phase === "closed" && now.close)
    ended(now.close.code, now.close.error?.code ?? "", now.close.message);
  else if (now.connected && around === null) banner(null);
}

/** The stream is over for good: why, and what can be done. */
function ended(code: number, error: string, message: string): void {
  if (code === 1000) return;
  if (code === 4400 && error === "filter_invalid") {
    // The address had a filter that the relay doesn't take: the log is shown without it, the sentence in its place.
    session.filter = { ...session.filter, search: "" };
    void session.restart().then(() => bar.wrong(message));
    return;
  }
  const again = button(texts.ended["again"]!, () => void begin(), { "data-testid": "again" });
  banner(
    `${texts.ended[code] ?? texts.ended["other"]!} ${code === 4401 ? texts.signin.atApp : message}`,
    again,
  );
}

/** What stands where no lines are. */
function nothing(): void {
  const host = byId("nothing");
  host.hidden = ring.length > 0;
  if (!host.hidden) {
    const { list } = texts;
    const connected = session.state?.connected ?? false;
    const [title, hint] = !connected
      ? [list.connecting, ""]
      : bar.empty
        ? [list.waiting, list.waitingHint]
        : [list.nothing, list.nothingHint];
    if (host.dataset["title"] === title) return;
    host.dataset["title"] = title;
    host.replaceChildren(el("p", {}, title), el("p", { class: "hint" }, hint));
  } else host.dataset["title"] = "";
}

// -- moving ------------------------------------------------------------------------------------------------------

function followed(following: boolean): void {
  session.guard(following ? ring.end : lines.list.top(), following);
  newer();
  if (following && around !== null) {
    // Whoever has read on to the newest line is back.
    around = null;
    banner(null);
    address();
  }
}

function newer(): void {
  const host = byId("newer");
  host.hidden = lines.list.following;
  if (host.hidden) return;
  say(host, `↓ ${texts.list.newer(lines.list.unseen)}`);
  host.setAttribute("aria-label", texts.list.newerLabel(lines.list.unseen));
}

async function older(): Promise<void> {
  const note = byId("top-note");
  const before = session.olderState;
  if (before === "idle") {
    const asked = session.older();
    topNote(note);
    await asked;
  }
  topNote(note);
}

function topNote(note: HTMLElement): void {
  const nearTop = !lines.list.following && lines.scroller.scrollTop < 400;
  tellOlder(note, session, nearTop, () => {
    session.olderAgain();
    void older();
  });
}

function jump(from: number): void {
  const number = ring.at(from);
  if (number < ring.first) return;
  lines.list.follow(false);
  lines.select(number);
  lines.list.reveal(number);
}

async function showAround(id: string): Promise<void> {
  around = id;
  lines.scroller.classList.remove("errors-only");
  drawer.close();
  bar.set({ services: [], search: "", severity: null });
  session.filter = { services: [], search: "", severity: null };
  session.attributes = [];
  lines.filtered("");
  address();
  const number = await session.start(environmentId ?? "", { at: id });
  if (around !== id) return;
  const found = number ?? (ring.length ? ring.first : null);
  banner(
    number === null ? texts.list.aroundMissing : texts.list.around,
    button(texts.list.backToLive, () => void live(), { "data-testid": "back-to-live" }),
  );
  if (found === null) return;
  lines.list.follow(false);
  lines.current = number;
  lines.select(found);
  lines.list.reveal(found);
  // What follows the line comes a moment later, and only then can it stand in the middle.
  setTimeout(() => {
    if (around !== id || lines.selected !== found) return;
    lines.list.reveal(found, true, true);
    lines.list.unseen = 0;
    newer();
  }, SETTLED);
}

async function live(): Promise<void> {
  around = null;
  banner(null);
  address();
  await session.start(environmentId ?? "");
  lines.list.follow(true);
}

// -- filter and address ------------------------------------------------------------------------------------------

async function apply(wish: Wish): Promise<string | null> {
  const leaving = around !== null;
  around = null;
  const sentence = await session.want(wish.filter, wish.attributes);
  if (sentence === null) {
    lines.filtered(wish.filter.search);
    lines.scroller.classList.toggle("errors-only", wish.filter.severity === "error");
    if (leaving) banner(null);
    address();
  }
  return sentence;
}

function viewNow(): View {
  const { filter } = bar.wish();
  return {
    services: filter.services,
    q: bar.input.value.trim(),
    severity: filter.severity,
    find: findBar.text,
    at: "",
  };
}

function link(shown: View): string {
  return `${location.origin}${base}/environments/${encodeURIComponent(environmentId ?? "")}${queryOf(shown)}`;
}

function address(): void {
  const shown = { ...viewNow(), at: around ?? "" };
  if (environmentId) history.replaceState(null, "", link(shown));
}

// -- things to do ------------------------------------------------------------------------------------------------

function show(number: number): void {
  if (!ring.has(number) || ring.isNotice(number)) return;
  if (olderMatches.shown) olderMatches.close();
  const entry = ring.entry(number);
  const first = !drawer.open;
  drawer.show(entry, { ...lines.look(number), settings });
  if (first) lines.list.reveal(number, false);
}

function services(anchor: HTMLElement, service: string): void {
  serviceMenu(anchor, service, {
    only: () => bar.only(service),
    hide: () => bar.hide(service),
    all: bar.wish().filter.services.length ? () => bar.everything() : null,
    copy: () => void copied(service, texts.actions.copied),
  });
}

async function copied(text: string, said: string): Promise<void> {
  toast((await copy(text)) ? said : texts.actions.notCopied);
}

function copySelection(): void {
  const chosen = lines.selection();
  if (chosen.length === 0) return;
  const text = chosen.map((number) => lineOf(ring.entry(number))).join("\n");
  void copied(text, chosen.length === 1 ? texts.actions.copied : texts.actions.copiedLines(chosen.length));
}

function copyLink(): void {
  if (lines.selected !== null && ring.has(lines.selected))
    void copied(link({ ...viewNow(), at: ring.id(lines.selected) }), texts.actions.copied);
}

function download(): void {
  const name = document.title.split(" · ")[0]!.replace(/[^\w.-]+/g, "-");
  downloadPanel(
    ring,
    lines.selection(),
    `${name}-${new Date().toISOString().slice(0, 19).replace(/:/g, "")}`,
  );
}

function openSettings(): void {
  const signOut = (): void => {
    signIn.forget();
    location.reload();
  };
  settingsPanel({
    settings,
    held: ring.length,
    changed,
    signOut: signIn.known ? signOut : null,
    version: session.state?.version ?? null,
  });
}

function changed(): void {
  save(settings);
  themed();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
function themed(): void {
  const theme = settings.theme === "system" ? (dark.matches ? "dark" : "light") : settings.theme;
  const root = document.documentElement;
  root.dataset["theme"] = theme;
  root.classList.toggle("roomy", !settings.dense);
  root.dataset["clock"] = settings.nanoseconds ? `${settings.clock}-ns` : settings.clock;
  byId("wrap").setAttribute("aria-pressed", String(settings.wrap));
  byId("histogram").hidden = !settings.histogram;
  lines.themed();
  histogram.themed();
  if (drawer.number !== null) show(drawer.number);
}
dark.addEventListener("change", themed);

function choose(): void {
  picker(listed, environmentId, (id) => {
    if (id === environmentId) return;
    history.pushState(null, "", `${base}/environments/${encodeURIComponent(id)}`);
    environmentId = id;
    around = null;
    bar.set({ services: [], search: "", severity: null });
    session.filter = { services: [], search: "", severity: null };
    session.attributes = [];
    lines.filtered("");
    void session.start(id);
  });
}

function copyView(): void {
  void copied(link(viewNow()), texts.actions.copied);
}

const keys: Keys = new Keys(
  commands(
    { ring, lines, bar, findBar, drawer, olderMatches, settings },
    {
      show,
      showAround: (number) => void showAround(ring.id(number)),
      changed,
      choose,
      openSettings,
      copySelection,
      copyLink,
      copyView,
      download,
      sheet: () => keys.sheet(),
    },
  ),
);

const presses: Record<string, () => void> = {
  environment: choose,
  newer: () => lines.list.follow(true),
  wrap: () => {
    settings.wrap = !settings.wrap;
    changed();
  },
  download,
  settings: openSettings,
  help: () => keys.sheet(),
  "find-open": () => findBar.open(),
  "view-link": copyView,
};
for (const [id, act] of Object.entries(presses)) byId(id).addEventListener("click", act);
document.querySelector(".skip")!.addEventListener("click", (event) => {
  event.preventDefault(); // another fragment in the address would count as another page
  lines.scroller.focus();
});
lines.scroller.addEventListener("scroll", () => topNote(byId("top-note")), { passive: true });
// Relative times age by themselves.
setInterval(() => settings.clock === "relative" && lines.list.refresh(), 5000);
addEventListener("pagehide", () => keepPlace(around === null ? session.lastId : null));
addEventListener("popstate", () => location.reload());

// -- the beginning -----------------------------------------------------------------------------------------------

/** Finds out who is looking and at what; a ticket opens one stream and says nothing about environments. */
async function begin(): Promise<void> {
  banner(null);
  if (!signIn.narrow && !(await list())) return;
  if (environmentId === null && listed.length === 1) environmentId = listed[0]!.id;
  if (environmentId === null) return choose();
  address();
  if (view.at) {
    const { at } = view;
    view.at = "";
    return showAround(at);
  }
  // A reload goes on where the page was, so that nothing of a flood is passed over.
  await session.start(environmentId, resumed ? { after: resumed } : {});
}

async function list(): Promise<boolean> {
  try {
    listed = await environments(base, signIn.headers());
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      const reason = signIn.known ? texts.signin.wrong : texts.signin.needsToken;
      signIn.mode = error.auth;
      signIn.refused();
      await signIn.ask(reason);
      return list();
    }
    // With an environment in the address, the stream itself says what is wrong.
    if (environmentId !== null && error instanceof Refused && error.status !== 403) return true;
    const message = error instanceof Refused ? error.message : texts.picker.unreachable;
    banner(
      message,
      button(texts.picker.retry, () => void begin(), { "data-testid": "retry" }),
    );
    return false;
  }
}

bar.set({ ...session.filter, search: view.q });
if (view.find) findBar.open(view.find);
lines.filtered(session.filter.search);
themed();
header.show();
nothing();
void begin();
