import { execFileSync } from "node:child_process";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { backup, LifeboatError, RESTORE_GUIDE, verify } from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { expect, test } from "vitest";
import { guideProblem, mendGuide } from "../../packages/core/src/guide-in-repository.ts";
import { faultyStorage } from "../support/faulty-storage.ts";
import { backedUp } from "../support/sqlite-repository.ts";

test("a guide that is damaged or gone is named by verify, and the next backup lays it down anew", async () => {
  const app = await backedUp();
  const path = join(app.folder, "repository/RESTORE.md");
  const codes = async () => (await app.verify(false)).problems.map(({ code }) => code);
  expect(await codes()).toEqual([]);
  const damages: readonly [string, () => Promise<void>][] = [
    ["CHECKSUM_MISMATCH", () => truncate(path, 4000)],
    ["CHECKSUM_MISMATCH", () => truncate(path, 0)],
    ["CHECKSUM_MISMATCH", () => writeFile(path, RESTORE_GUIDE.replace("zstd", "xstd"))],
    ["CHECKSUM_MISMATCH", () => writeFile(path, `${RESTORE_GUIDE}\n`)],
    ["OBJECT_MISSING", () => rm(path)],
  ];
  for (const [code, damage] of damages) {
    await damage();
    expect(await codes()).toEqual([code]);
    const repository = await app.repository();
    expect(await mendGuide(repository.storage)).toEqual([]);
    expect(await readFile(path, "utf8")).toBe(RESTORE_GUIDE);
  }
  await truncate(path, 4000);
  await app.backup();
  expect(await readFile(path, "utf8")).toBe(RESTORE_GUIDE);
});

test("a guide says by itself whether it is whole, to a shell too, and that of another version is left as it is", async () => {
  const app = await backedUp();
  const folder = join(app.folder, "repository");
  const shell = (command: string) =>
    execFileSync("sh", ["-c", command], { cwd: folder, encoding: "utf8" });
  const [digest] = shell("head -n -1 RESTORE.md | sha256sum").split(" ");
  expect(shell("tail -n 1 RESTORE.md")).toBe(`${digest}\n`);
  const [other] = shell("echo Another guide | tee RESTORE.md | sha256sum").split(" ");
  shell(`echo ${other} >> RESTORE.md`);
  await app.backup();
  expect(shell("head -n 1 RESTORE.md")).toBe("Another guide\n");
  expect((await app.verify(false)).problems).toEqual([]);
});

test("where nothing may be removed a damaged guide stays, a backup tells so, and is taken all the same; one that is gone is laid down", async () => {
  const app = await backedUp();
  await truncate(join(app.folder, "repository/RESTORE.md"), 4000);
  const repository = await app.repository();
  const { storage } = repository;
  const denied = new LifeboatError({ code: "STORAGE_DENIED", message: "denied", remedy: "" });
  const kept = faultyStorage(storage, {
    remove: async (path) => {
      if (path === "RESTORE.md") throw denied;
      await storage.remove(path);
    },
  });
  Object.assign(repository, { storage: kept });
  const { findings } = await backup({
    ...{ repository, engine: app.engine, type: "full", options: {} },
    signal: new AbortController().signal,
  });
  expect(findings).toMatchObject([
    { id: "guide-damaged", severity: "warning", summary: expect.stringContaining("denied") },
  ]);
  expect(await guideProblem(storage)).toBeDefined();
  const engines = [sqliteEngine({ databases: [] })];
  const signal = new AbortController().signal;
  const { problems } = await verify({ repository, engines, deep: false, signal });
  expect(problems).toMatchObject([{ object: "RESTORE.md" }]);
  await storage.remove("RESTORE.md");
  expect(await mendGuide(kept)).toEqual([]);
  expect(await guideProblem(storage)).toBeUndefined();
});
