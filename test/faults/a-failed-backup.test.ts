import { join } from "node:path";
import {
  allObjects,
  backup,
  type Engine,
  LifeboatError,
  type Repository,
  status,
  verify,
} from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { beforeEach, expect, test } from "vitest";
import { markUnfinished } from "../../packages/core/src/unfinished-mark.ts";
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

const backUpBy = (engine: Engine, meanwhile: () => Promise<void>, before = "write the manifest") =>
  backup({
    repository,
    engine,
    type: "full",
    options: {},
    signal: new AbortController().signal,
    run: async (steps) => {
      for (const step of steps) {
        if (step.title === before) await meanwhile();
        await step.run(() => {});
      }
    },
  });

const verified = async () => {
  const { signal } = new AbortController();
  const engines = [engineOf(["one"])];
  const { problems } = await verify({ repository, engines, deep: true, signal });
  return problems.map(({ code }) => code);
};

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

const INTERRUPTED = "20261122T101500.123Z-full";

/** As a run that was killed leaves it. */
async function leaveUnfinished(id = INTERRUPTED): Promise<void> {
  const one = repository.folder("sqlite", "one");
  await markUnfinished(one, id);
  await repository.storage.create(`${one.backupPath(id)}/one.db.zst`, Buffer.from("half"));
}

test("that was killed leaves objects without a manifest, which the next backup removes", async () => {
  await leaveUnfinished();
  const told = await status({ repository, engines: [engineOf(["one"])], live: null });
  const next = await backUp("one");
  const left = await paths();
  // Nor does status propose what SQLite's backups know nothing of.
  const interrupted = told.alerts.filter((each) => each.id === "backup-interrupted");
  expect(interrupted).toMatchObject([{ summary: expect.stringContaining(INTERRUPTED) }]);
  expect(interrupted[0]?.remedy).toMatch(/lifeboat backup removes/);
  expect(left.filter((path) => path.includes(`backups/${INTERRUPTED}`))).toEqual([]);
  expect(left.filter((path) => path.includes(next.id))).toHaveLength(3);
  expect(await verified()).toEqual([]);
});

test("that was killed and lost its lock may store more of it later, which goes with the next one", async () => {
  await leaveUnfinished();
  await backUp("one");
  await leaveUnfinished();
  await backUp("one");
  await backUp("one");
  expect((await paths()).filter((path) => path.includes(INTERRUPTED))).toEqual([]);
});

test("whose manifest is lost later stays until that is back, whatever else is backed up, and is named first", async () => {
  const { id } = await backUp("one");
  const manifest = `product/sqlite/one/backups/${id}/manifest.json`;
  const bytes = Buffer.concat(await Array.fromAsync(repository.storage.read(manifest)));
  await repository.storage.remove(manifest);
  const { alerts } = await status({ repository, engines: [engineOf(["one"])], live: null });
  expect(alerts.map((each) => each.id).slice(0, 2)).toEqual(["manifest-missing", "no-backup"]);
  expect(alerts[0]).toMatchObject({ severity: "error", summary: expect.stringContaining(id) });
  await expect(backUp("one", "missing")).rejects.toMatchObject({ code: "DATABASE_MISSING" });
  await backUp("one");
  expect(await verified()).toEqual(["MANIFEST_MISSING"]);
  await repository.storage.create(manifest, bytes);
  expect(await verified()).toEqual([]);
  expect((await repository.backups(repository.folder("sqlite", "one"))).manifests).toHaveLength(2);
});

test("that was killed once its manifest was there is a backup, and the next removes its mark", async () => {
  const { id } = await backUp("one");
  await markUnfinished(repository.folder("sqlite", "one"), id);
  const { alerts } = await status({ repository, engines: [engineOf(["one"])], live: null });
  expect(alerts.map((each) => each.id)).not.toContain("backup-interrupted");
  const next = await backUp("one");
  const left = (await paths()).filter((path) => path.startsWith("product/sqlite/"));
  expect(left.map((path) => path.split("/")[4])).toEqual([id, id, id, next.id, next.id, next.id]);
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
    expect.stringMatching(/\/unfinished\/.*-full\.json$/),
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

test("that lost its lock before anything of it was there marks what it stored since, which the next backup removes", async () => {
  const taking = backUpBy(
    engineOf(["one"]),
    async () => {
      for (const path of await paths())
        if (path.startsWith("product/locks/")) await repository.storage.remove(path);
      await backUp("one");
    },
    "back up one",
  );
  await expect(taking).rejects.toMatchObject({ code: "LOCK_LOST" });
  expect(await verified()).toEqual(["UNFINISHED"]);
  await backUp("one");
  expect(await verified()).toEqual([]);
});
