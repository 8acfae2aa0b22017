// The licences of what is bundled into the page, because their terms want to go along with it.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** One text for all packages that a build has read, in the order of their names; throws where one has no licence. */
export async function licensesOf(folder, metafiles) {
  const inputs = metafiles.flatMap((metafile) => Object.keys(metafile.inputs));
  const found = inputs.map(
    (input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(input)?.[1],
  );
  const names = [...new Set(found.filter((name) => name !== undefined))].sort();
  const texts = await Promise.all(names.map((name) => licenseOf(join(folder, "node_modules", name))));
  return `The log page of logrelay contains these works of others.\n\n${texts.join("\n")}`;
}

async function licenseOf(folder) {
  const { name, version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice|copying)\b/i.test(file)).sort();
  if (files.length === 0) throw new Error(`${name} is in the page and says nothing of its licence`);
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  const text = texts.map((each) => each.replaceAll("\r\n", "\n").trim()).join("\n\n");
  return `---- ${name} ${version} (${license}) ----\n\n${text}\n`;
}
