import assert from "node:assert/strict";
import { test } from "node:test";
import { Deployments } from "./deployments.js";
import { Groups } from "./groups.js";
import { record } from "./made.js";
import { Ring } from "./ring.js";
import { Sources } from "./sources.js";

test("a source is kept once, and forgotten with its last record", () => {
  const sources = new Sources();
  const number = sources.take(record(1));

  assert.equal(number, sources.take(record(2)));
  assert.equal(1, sources.size);

  sources.release(number);
  assert.equal("api", sources.at(number)!.service);
  sources.release(number);
  assert.equal(0, sources.size);
  assert.equal(null, sources.at(number));
});

test("ever new deployments take no more sources than records are held", () => {
  const sources = new Sources();
  const numbers: number[] = [];
  for (let at = 0; at < 10_000; at += 1) {
    numbers.push(sources.take(record(at, { deploymentId: `d${at}` })));
    if (numbers.length > 10) sources.release(numbers.shift()!);
  }

  assert.equal(10, sources.size);
  assert.ok(Math.max(...numbers) <= 10); // numbers are used again
});

test("records are counted by service over all deployments, as long as they are held", () => {
  const ring = new Ring(3);
  ring.push(record(1, { serviceName: "web" }));
  ring.push(record(2));
  ring.push(record(3, { deploymentId: "d2" }));
  ring.push(record(4, { deploymentId: "d2" }));

  assert.deepEqual([...ring.counts()], [["api", 3]]);

  ring.clear();
  assert.equal(0, ring.counts().size);
});

test("a record keeps its source when another one's number is used again", () => {
  const ring = new Ring(2);
  ring.push(record(1, { deploymentId: "old" }));
  ring.push(record(2, { deploymentId: "kept" }));
  ring.push(record(3, { deploymentId: "new" }));

  assert.deepEqual(["kept", "new"], [ring.entry(1).deploymentId, ring.entry(2).deploymentId]);
});

test("a deployment begins where a service's records come from another one for the first time", () => {
  const deployments = new Deployments();
  const begin = (service: string | null, id: string | null): boolean => deployments.begins(service, id);

  assert.equal(false, begin("s", "one")); // where the page begins, nothing is new
  assert.equal(true, begin("s", "two"));
  assert.equal(false, begin("s", "one")); // both write for a while
  assert.equal(false, begin("other", "one"));
  assert.equal(false, begin(null, "three"));
  assert.equal(false, begin("s", null));
});

test("a line is not folded under one that was let go", () => {
  const ring = new Ring(2);
  const groups = new Groups(ring);
  const push = (message: string): number | null => groups.added(ring.push(record(ring.end, { message })));

  assert.equal(null, push("Error: no"));
  assert.equal(0, push("    at one"));
  push("Error: elsewhere at the margin");
  const head = push("    at two");

  assert.equal(2, head);
  assert.equal(1, groups.folded(2));
  assert.equal(null, push("plain"));
  assert.equal(null, groups.head(3)); // its head has gone
});

test("what was unfolded is forgotten with its line", () => {
  const ring = new Ring(2);
  const groups = new Groups(ring);
  groups.added(ring.push(record(1)));
  groups.unfolded.add(0);
  groups.added(ring.push(record(2)));
  assert.equal(1, groups.unfolded.size);

  groups.added(ring.push(record(3)));
  assert.equal(0, groups.unfolded.size);
});

test("the newest hole is found as long as it is held", () => {
  const ring = new Ring(3);
  const notice = (kind: string): number => ring.pushNotice({ kind, time: 0, data: {} });
  notice("gap");
  const lost = notice("lost");
  notice("live");

  assert.equal(lost, ring.noticed(["gap", "lost"]));
  assert.equal(null, ring.noticed(["draining"]));
  for (let at = 0; at < 3; at += 1) ring.push(record(at));
  assert.equal(null, ring.noticed(["gap", "lost"]));
});
