// Builds the page: one script, one style sheet, an icon and the licences of what is in them, named by their contents, and
// the document that names them.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { licensesOf } from "./licenses.mjs";

const LIMIT = 120 * 1024; // bytes of all of it, compressed

/** Writes the page into a folder; throws where it has become too big. Gives its size in bytes, compressed. */
export async function builtPage(common, folder) {
  const options = { ...common, bundle: true, minify: true, write: false, metafile: true };
  const metafiles = [];
  const made = async (entry) => {
    const { outputFiles, metafile } = await build({ ...options, entryPoints: [`page/${entry}`] });
    metafiles.push(metafile);
    return outputFiles[0].contents;
  };
  const assets = {
    "page.js": await made("main.ts"),
    "page.css": await made("page.css"),
    "icon.svg": await readFile(join(common.absWorkingDir, "page/icon.svg")),
  };
  assets["licenses.txt"] = Buffer.from(await licensesOf(common.absWorkingDir, metafiles));
  let html = await readFile(join(common.absWorkingDir, "page/index.html"), "utf8");
  let size = 0;
  await mkdir(join(folder, "assets"), { recursive: true });
  for (const [name, contents] of Object.entries(assets)) {
    const hash = createHash("sha256").update(contents).digest("hex").slice(0, 12);
    const named = name.replace(".", `-${hash}.`);
    html = html.replaceAll(`/assets/${name}`, `/assets/${named}`);
    if (name !== "licenses.txt") size += gzipSync(contents, { level: 9 }).length; // which nobody loads with the page
    await writeFile(join(folder, "assets", named), contents);
  }
  await writeFile(join(folder, "index.html"), html);
  if (size > LIMIT) throw new Error(`the page has ${size} bytes compressed, more than ${LIMIT}`);
  return size;
}
