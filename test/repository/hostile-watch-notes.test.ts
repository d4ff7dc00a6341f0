import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseFolder, WatchNotes } from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";

let state: string;
let file: string;
let notes: WatchNotes;
const folder = new DatabaseFolder({
  ...{ storage: memoryStorage(), app: "app", engine: "sqlite", database: "app" },
  compression: { level: 1, logLevel: 1 },
});
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "lifeboat-notes-"));
  notes = new WatchNotes(state);
  await notes.write(folder, { lag: 0 });
  file = join(state, (await readdir(state))[0] as string);
});
afterEach(() => rm(state, { recursive: true }));

test("a watch's note is read as it was written", async () => {
  expect(await notes.read(folder)).toMatchObject({ alive: true, facts: { lag: 0 } });
});

test.each<[string, () => Promise<unknown>]>([
  ["a link", () => rename(file, `${file}.true`).then(() => symlink(`${file}.true`, file))],
  ["a pipe", () => rm(file).then(() => execFileSync("mkfifo", [file]))],
  ["far too long", () => truncate(file, 3 * 2 ** 30)],
  ["no JSON", () => writeFile(file, "{")],
])("one that is %s says nothing, and is not waited for", async (_, change) => {
  await change();
  expect(await notes.read(folder)).toBeNull();
});
