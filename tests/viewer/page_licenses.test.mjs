// The licences that go along with the page: of what is in it, and of nothing else.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { licensesOf } from "../../logrelay/viewer/page/licenses.mjs";

let folder;

async function installed(name, files) {
  const place = join(folder, "node_modules", name);
  await mkdir(place, { recursive: true });
  await writeFile(join(place, "package.json"), JSON.stringify({ name, version: "1.2.3", license: "MIT" }));
  for (const [file, text] of Object.entries(files)) await writeFile(join(place, file), text);
}

const built = (...inputs) => [{ inputs: Object.fromEntries(inputs.map((input) => [input, {}])) }];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "logrelay-licenses-"));
  await installed("plot", { LICENSE: "the terms of plot\r\nin two lines\r\n", "index.js": "" });
  await installed("@who/match", { "LICENSE.md": "the terms of match", NOTICE: "and a notice" });
  await installed("tool", { LICENSE: "the terms of tool" });
  await installed("bare", { "index.js": "" });
});
after(() => rm(folder, { recursive: true }));

test("each package that was read into the page is named once, with its terms", async () => {
  const metafiles = [
    ...built("page/main.ts", "node_modules/plot/dist/a.js", "node_modules/plot/dist/b.js"),
    ...built("node_modules/@who/match/m.css"),
  ];

  const text = await licensesOf(folder, metafiles);

  assert.deepEqual(
    ["---- @who/match 1.2.3 (MIT) ----", "---- plot 1.2.3 (MIT) ----"],
    text.split("\n").filter((line) => line.startsWith("----")),
  );
  assert.match(text, /the terms of match\n\nand a notice\n/);
  assert.match(text, /the terms of plot\nin two lines\n/);
  assert.doesNotMatch(text, /tool/);
});

test("the order of the build doesn't change the text", async () => {
  const inputs = ["node_modules/plot/a.js", "node_modules/@who/match/m.js", "node_modules/tool/t.js"];

  assert.equal(
    await licensesOf(folder, built(...inputs)),
    await licensesOf(folder, built(...[...inputs].reverse())),
  );
});

test("a package without a licence stops the build", async () => {
  await assert.rejects(licensesOf(folder, built("node_modules/bare/index.js")), /bare .* licence/);
});
