// Runs the example page's script against a stand-in of the browser: a document, a clock and WebSockets that the
// scenario on stdin drives. Prints what the page did. Usage: node page_harness.cjs <script> < scenario.json
const fs = require("node:fs");
const vm = require("node:vm");

class Element {
  constructor(tag) { this.tag = tag; this.children = []; this.className = ""; this.text = ""; this.elements = {}; }
  set textContent(text) { this.text = String(text); }
  get textContent() { return this.text + this.children.map((child) => child.textContent).join(" "); }
  set innerHTML(_) { throw new Error("the page wrote markup"); }
  insertAdjacentHTML() { throw new Error("the page wrote markup"); }
  appendChild(child) { child.parent = this; this.children.push(child); return child; }
  remove() { this.parent.children.splice(this.parent.children.indexOf(this), 1); }
  get childElementCount() { return this.children.length; }
  get firstElementChild() { return this.children[0]; }
}

const page = { form: new Element("form"), ol: new Element("ol"), output: new Element("output") };
const sockets = [], timers = [];
const scenario = JSON.parse(fs.readFileSync(0, "utf8"));
const location = new URL(scenario.page);
vm.runInNewContext(fs.readFileSync(process.argv[2], "utf8"), {
  document: { querySelector: (tag) => page[tag], createElement: (tag) => new Element(tag) },
  location, URL, URLSearchParams, Set, Math: Object.assign(Object.create(Math), { random: () => 0.5 }), JSON,
  setTimeout: (call, milliseconds, ...values) => timers.push({ call, milliseconds, values }),
  WebSocket: class { constructor(url) { this.url = String(url); sockets.push(this); } },
});

const waits = [];
for (const { message, close } of scenario.events) {
  const socket = sockets.at(-1);
  if (message !== undefined) socket.onmessage({ data: JSON.stringify(message) });
  if (close !== undefined) {
    socket.onclose({ code: close });
    const timer = timers.shift();
    waits.push(timer ? timer.milliseconds / 1000 : null);
    if (timer) timer.call(...timer.values);
  }
}
process.stdout.write(JSON.stringify({
  urls: sockets.map((socket) => socket.url), waits, state: page.output.textContent,
  lines: page.ol.children.map((line) => [line.className, line.textContent]),
}));
