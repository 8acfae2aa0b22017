/** Puts the page together: address and credential, one session, and the parts that show it. */

import { Address } from "./address.js";
import { Appearance } from "./appearance.js";
import { commands } from "./commands.js";
import { byId } from "./dom.js";
import { Drawer } from "./drawer.js";
import { FilterBar } from "./filterbar.js";
import { FindBar } from "./findbar.js";
import { build } from "./frame.js";
import { Header } from "./header.js";
import { Histogram } from "./histogram.js";
import { Keys } from "./keys.js";
import { Lines } from "./lines.js";
import { Moving } from "./moving.js";
import { Older } from "./older.js";
import { Opening } from "./opening.js";
import { settingsPanel } from "./panels.js";
import type { View } from "./query.js";
import { Ring } from "./ring.js";
import { serviceMenu } from "./servicemenu.js";
import { Session } from "./session.js";
import { load } from "./settings.js";
import { Showing } from "./showing.js";
import { SignIn } from "./signin.js";
import { Summary } from "./summary.js";
import { Taking } from "./taking.js";
import { tellNothing } from "./telling.js";
import { Visiting } from "./visiting.js";

const AGEING = 5000; // milliseconds after which times that say how long ago something was are written anew

build();
const settings = load();
const address = new Address(location.pathname);

const ring = new Ring();
const signIn: SignIn = new SignIn(address.base, () => opening.admitted());
const opening: Opening = new Opening(
  address,
  signIn,
  () => visiting.begin(),
  (id) => visiting.change(id),
);
const session = new Session(ring, address.relay, signIn.source);

const lines: Lines = new Lines(session, settings, {
  open: show,
  service: services,
  selected: (number) => drawer.open && number !== null && show(number),
  followed: (following) => moving.followed(following),
  nearTop: () => void moving.older(),
  drawn: (first, last) =>
    histogram.seen(ring.time(Math.max(ring.first, first)), ring.time(Math.max(ring.first, last - 1))),
});
const bar: FilterBar = new FilterBar(
  (wish) => visiting.apply(wish),
  () => ring.counts(),
);
const view = (): View => visiting.view();
const taking = new Taking(ring, lines, address, view);
const drawer: Drawer = new Drawer({
  copy: (text) => void taking.text(text),
  copyLine: taking.line,
  copyJson: taking.json,
  link: taking.link,
  around: ({ id }) => void moving.showAround(id),
  filter: (path, value, absent) => bar.addAttribute({ path, value, absent }),
  only: (service) => bar.only(service),
  step: (by) => lines.step(by),
  closed: () => lines.scroller.focus(),
});
const moving: Moving = new Moving({ session, lines, bar, drawer, address, view });
const header = new Header(session, (number) => moving.to(number));
const summary = new Summary();
const histogram = new Histogram(
  ring,
  () => settings,
  (from) => moving.jump(from),
);
const olderMatches = new Older(
  session,
  () => settings,
  (id) => void moving.showAround(id),
);
const findBar = new FindBar(lines, ring, (wanted) => {
  drawer.close();
  olderMatches.open(wanted);
});
const visiting: Visiting = new Visiting({ session, lines, bar, findBar, moving, address });
const appearance = new Appearance(settings, () => {
  lines.themed();
  histogram.themed();
  if (drawer.number !== null) show(drawer.number);
});

session.listen(
  new Showing(() => signIn.refused(), {
    ...{
      session,
      lines,
      bar,
      drawer,
      findBar,
      moving,
      header,
      summary,
      histogram,
      opening,
      address,
      appearance,
    },
  }),
);

function show(number: number): void {
  if (!ring.has(number) || ring.isNotice(number)) return;
  if (olderMatches.shown) olderMatches.close();
  const first = !drawer.open;
  drawer.show(ring.entry(number), { ...lines.look(number), settings });
  if (first) lines.list.reveal(number, false);
}

function services(anchor: HTMLElement, service: string): void {
  serviceMenu(anchor, service, {
    only: () => bar.only(service),
    hide: () => bar.hide(service),
    all: bar.wish().filter.services.length ? () => bar.everything() : null,
    copy: () => void taking.text(service),
  });
}

function openSettings(): void {
  settingsPanel(settings, appearance.changed, session, signIn);
}

const keys: Keys = new Keys(
  commands({
    ...{ ring, lines, bar, findBar, drawer, olderMatches, settings, taking },
    ...{ show, openSettings, changed: appearance.changed, choose: opening.choose },
    showAround: (number) => void moving.showAround(ring.id(number)),
    sheet: () => keys.sheet(),
  }),
);

// -- the beginning -----------------------------------------------------------------------------------------------

const presses: Record<string, () => void> = {
  environment: opening.choose,
  wrap: appearance.wrap,
  download: taking.download,
  settings: openSettings,
  help: () => keys.sheet(),
  "find-open": () => findBar.open(),
  "view-link": taking.viewLink,
};
for (const [id, act] of Object.entries(presses)) byId(id).addEventListener("click", act);
document.querySelector(".skip")!.addEventListener("click", (event) => {
  event.preventDefault(); // another fragment in the address would count as another page
  lines.scroller.focus();
});
byId("environment").toggleAttribute("disabled", signIn.narrow);
setInterval(() => settings.clock === "relative" && lines.list.refresh(), AGEING);
// Whoever has signed in stays so on the way back.
addEventListener("popstate", () => visiting.travelled() && void opening.begin());

visiting.restore();
appearance.show();
header.show();
tellNothing(session, bar, moving.further);
void opening.begin();
