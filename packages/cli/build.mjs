/**
 * Bundles commands: `node packages/cli/build.mjs <entry.ts>…`. Each goes into `dist/bin/` of its
 * package, split so that a verb loads only what it needs: start-up is what `archive_command` costs.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const packages = fileURLToPath(new URL("..", import.meta.url));

/** Modules that are started by their file, through core's `siblingModule()`: they lie beside the entry. */
export const STARTED_BY_FILE = [
  "core/src/stream/digest-thread.ts",
  "sqlite/src/raw/raw-reader-child.ts",
  "migrate/src/load/row-reader-thread.ts",
  "migrate/src/profile-thread.ts",
];

/** What cannot be bundled: a native module, found from the root's node_modules; and one that `pg` only tries. */
const EXTERNAL = ["better-sqlite3", "pg-native"];

/** Packages in the old module format call `require` for Node's own modules. */
const BANNER =
  'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';

/**
 * Bundles one command.
 * @param {string} entry its source, `<package>/src/<name>.ts`
 * @param {string} [directory] where to put it; `<package>/dist/bin` when left out
 */
export async function bundle(entry, directory = join(dirname(dirname(entry)), "dist", "bin")) {
  const { outputFiles } = await build({
    entryPoints: [entry, ...STARTED_BY_FILE.map((file) => join(packages, file))],
    entryNames: "[name]",
    chunkNames: "chunk-[hash]",
    outdir: directory,
    bundle: true,
    splitting: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "node26",
    external: EXTERNAL,
    banner: { js: BANNER },
    legalComments: "none",
    logLevel: "warning",
  });
  mkdirSync(directory, { recursive: true });
  // An archive_command may start at any moment: chunks first, then entries, each by rename; what was before stays until then.
  const chunksFirst = outputFiles.toSorted((a, b) => Number(isChunk(b)) - Number(isChunk(a)));
  for (const { path, contents } of chunksFirst) {
    writeFileSync(`${path}.new`, contents);
    renameSync(`${path}.new`, path);
  }
  const written = new Set(outputFiles.map(({ path }) => basename(path)));
  for (const name of readdirSync(directory))
    if (!written.has(name)) rmSync(join(directory, name), { recursive: true });
}

function isChunk({ path }) {
  return basename(path).startsWith("chunk-");
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const entries = process.argv.slice(2).map((entry) => resolve(entry));
  await Promise.all(entries.map((entry) => bundle(entry)));
}
