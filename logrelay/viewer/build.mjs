// Builds what is shipped: `node build.mjs`. The same sources give the same bytes; `--check` says whether dist/ is that.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { builtPage } from "./page/build.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const common = {
  absWorkingDir: here,
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};

/** The hook imports the client as its neighbour, so that a page that uses both has it once. */
const neighbour = {
  name: "neighbour",
  setup: (building) =>
    building.onResolve({ filter: /^\.\/index\.js$/ }, () => ({
      path: "./logrelay-client.js",
      external: true,
    })),
};

/** One entry each: where it is, what it becomes, and what is particular about it. */
const entries = [
  { in: "client/index.ts", out: "client/logrelay-client.js" },
  {
    in: "client/react.ts",
    out: "client/logrelay-client-react.js",
    options: { external: ["react"], plugins: [neighbour] },
  },
];

async function built(folder) {
  for (const entry of entries) {
    await build({ ...common, entryPoints: [entry.in], outfile: join(folder, entry.out), ...entry.options });
  }
  const size = await builtPage(common, folder);
  console.log(`page: ${(size / 1024).toFixed(1)} KB compressed`);
  const tsc = join(here, "node_modules", ".bin", "tsc");
  await promisify(execFile)(tsc, ["-p", "tsconfig.client.json", "--outDir", join(folder, "client")], {
    cwd: here,
  });
}

async function contents(folder) {
  await mkdir(folder, { recursive: true });
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = found.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  return new Map(
    await Promise.all(
      files.map(async (file) => [file.slice(folder.length + 1), await readFile(file, "base64")]),
    ),
  );
}

const dist = join(here, "dist");
if (process.argv.includes("--check")) {
  const fresh = await mkdtemp(join(tmpdir(), "logrelay-viewer-"));
  try {
    await built(fresh);
    const [wanted, kept] = [await contents(fresh), await contents(dist)];
    const names = [...new Set([...wanted.keys(), ...kept.keys()])].sort();
    const different = names.filter((name) => wanted.get(name) !== kept.get(name));
    if (different.length > 0) {
      console.error(`dist/ is not what a fresh build gives: ${different.join(", ")}`);
      process.exitCode = 1;
    }
  } finally {
    await rm(fresh, { recursive: true });
  }
} else {
  await rm(dist, { recursive: true, force: true });
  await built(dist);
}
