/** A file for the reader, written in slices: a hundred thousand lines take half a second, in which keys must not wait. */

import { el } from "./dom.js";

const SLICE = 5; // milliseconds of making lines, to which what a Blob takes is added
const KEPT = 10_000; // milliseconds after the click in which the browser reads it

export async function save(parts: Iterable<string>, name: string, type: string): Promise<void> {
  const written: Blob[] = []; // each has its text as bytes already, which at the end would take long
  let slice = "";
  let until = performance.now() + SLICE;
  for (const part of parts) {
    slice += part;
    if (performance.now() < until) continue;
    written.push(new Blob([slice]));
    slice = "";
    await new Promise((go) => setTimeout(go));
    until = performance.now() + SLICE;
  }
  const url = URL.createObjectURL(new Blob([...written, slice], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT);
}
