import { join } from "node:path";
import {
  allObjects,
  backup,
  type Engine,
  LifeboatError,
  type Repository,
  status,
} from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { beforeEach, expect, test } from "vitest";
import { makeLedger, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

let folder: string;
let repository: Repository;
beforeEach(async () => {
  folder = await testFolder();
  makeLedger(join(folder, "one.db"));
  repository = await new SqliteApp(folder, join(folder, "one.db")).repository();
});

const backUp = (...names: string[]) => backUpWhile(async () => {}, ...names);

/** With something else that happens before the manifest is written. */
const backUpWhile = (meanwhile: () => Promise<void>, ...names: string[]) =>
  backUpBy(engineOf(names), meanwhile);

const engineOf = (names: readonly string[]) =>
  sqliteEngine({
    databases: names.map((name) => ({ name, path: join(folder, `${name}.db`) })),
  });

const backUpBy = (engine: Engine, meanwhile: () => Promise<void>) =>
  backup({
    repository,
    engine,
    type: "full",
    options: {},
    signal: new AbortController().signal,
    run: async (steps) => {
      for (const step of steps) {
        if (step.title === "write the manifest") await meanwhile();
        await step.run(() => {});
      }
    },
  });

const paths = async () =>
  (await Array.fromAsync(allObjects(repository.storage, "product/"))).map(({ path }) => path);

test("of several databases that fails at the second takes the first one's objects back, and its locks", async () => {
  await expect(backUp("one", "missing")).rejects.toMatchObject({ code: "DATABASE_MISSING" });
  expect(await paths()).toEqual(["product/lifeboat.json"]);
});

test("leaves an earlier backup as it was", async () => {
  await backUp("one");
  const before = await paths();
  await expect(backUp("one", "missing")).rejects.toMatchObject({ code: "DATABASE_MISSING" });
  expect(await paths()).toEqual(before);
});

test("that was killed leaves objects without a manifest, which the next backup removes", async () => {
  const { id } = await backUp("one");
  const manifest = `product/sqlite/one/backups/${id}/manifest.json`;
  await repository.storage.remove(manifest);
  const told = await status({ repository, engines: [engineOf(["one"])], live: null });
  await repository.storage.remove("RESTORE.md");
  const next = await backUp("one");
  expect(await repository.storage.stat("RESTORE.md")).toBeDefined();
  const left = await paths();
  // Nor does status propose what SQLite's backups know nothing of.
  const interrupted = told.alerts.filter((each) => each.id === "backup-interrupted");
  expect(interrupted).toMatchObject([{ summary: expect.stringContaining(id) }]);
  expect(interrupted[0]?.remedy).toMatch(/manifest\.json back .* lifeboat backup removes/);
  expect(left.filter((path) => path.includes(id))).toEqual([]);
  expect(left.filter((path) => path.includes(next.id))).toHaveLength(3);
});

test("that failed leaves what its engine can go on with, but nothing on a storage that is full", async () => {
  const engine = {
    ...engineOf(["one"]),
    canGoOnWith: async (object: string) => object === "one.db.zst",
  };
  const failing = (code: string) =>
    backUpBy(engine, async () => {
      throw new LifeboatError({ code, message: "the storage fails", remedy: "mend it" });
    });
  await expect(failing("STORAGE_UNREACHABLE")).rejects.toMatchObject({
    code: "STORAGE_UNREACHABLE",
  });
  expect((await paths()).filter((path) => path !== "product/lifeboat.json")).toEqual([
    expect.stringMatching(/-full\/one\.db\.zst$/),
  ]);
  const left = await status({ repository, engines: [engine], live: null });
  expect(left.alerts.map(({ id }) => id)).toContain("backup-interrupted");
  await repository.storage.remove((await paths()).find((path) => path.includes("one.db")) ?? "");
  await expect(failing("STORAGE_FULL")).rejects.toMatchObject({ code: "STORAGE_FULL" });
  expect(await paths()).toEqual(["product/lifeboat.json"]);
});

test("that lost its lock meanwhile writes no manifest, and removes nothing of the run that has it", async () => {
  const theirs = "product/sqlite/one/backups/20261122T101500.123Z-full/one.db.zst";
  const { storage } = repository;
  const taking = backUpWhile(async () => {
    for await (const { path } of allObjects(storage, "product/locks/")) await storage.remove(path);
    await storage.create(theirs, Buffer.from("a running backup's"));
  }, "one");
  await expect(taking).rejects.toMatchObject({ code: "LOCK_LOST" });
  const left = await paths();
  expect(left).toContain(theirs);
  expect(left.filter((path) => path.endsWith("manifest.json"))).toEqual([]);
});
