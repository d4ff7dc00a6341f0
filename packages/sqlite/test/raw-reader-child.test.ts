import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { importsOf } from "../../../test/support/imports-of.ts";
import { testFolder } from "../../../test/support/sqlite.ts";

const CHILD = fileURLToPath(new URL("../src/raw/raw-reader-child.ts", import.meta.url));

/** All that a module loads, of ours and of others'. */
function closureOf(file: string, known: Set<string> = new Set()): Set<string> {
  if (known.has(file)) return known;
  known.add(file);
  for (const name of importsOf(readFileSync(file, "utf8")))
    if (name.startsWith(".")) closureOf(resolve(dirname(file), name), known);
    else known.add(name);
  return known;
}

test("the process that opens database files loads nothing but Node: a connection in it would lose its locks", () => {
  const foreign = [...closureOf(CHILD)].filter((name) => !name.startsWith("node:"));
  expect(foreign).toEqual([CHILD]);
});

/** Has Node tell how each file is copied, in place of a file system with clones. */
const TELLING = `data:text/javascript,${encodeURIComponent(`
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
const own = fs.copyFile;
fs.copyFile = (from, to, mode) => {
  process.stdout.write(JSON.stringify({ mode }) + "\\n");
  return own(from, to, mode);
};
syncBuiltinESMExports();
`)}`;

test("a copy asks the file system for a clone, and takes what it gives where it has none", async () => {
  const folder = await testFolder();
  const [from, to] = [join(folder, "from"), join(folder, "to")];
  await writeFile(from, "content");
  const child = spawn(process.execPath, ["--import", TELLING, CHILD], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.write(`${JSON.stringify({ kind: "copy", from, to })}\n`);
  const said: { mode?: number; ok?: boolean }[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(JSON.parse(line));
    if (said.length === 2) break;
  }
  child.kill("SIGKILL");
  const { COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE } = (await import("node:fs")).constants;
  const [asked, answer] = said;
  expect((asked?.mode ?? 0) & COPYFILE_FICLONE).toBe(COPYFILE_FICLONE);
  expect((asked?.mode ?? 0) & COPYFILE_FICLONE_FORCE).toBe(0);
  expect(answer).toMatchObject({ ok: true });
  expect(await readFile(to, "utf8")).toBe("content");
});
