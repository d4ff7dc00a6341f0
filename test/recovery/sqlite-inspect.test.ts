import { open, readdir, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { sqliteEngine } from "@lifeboat/sqlite";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { lockedExclusivelyBy } from "../../packages/sqlite/src/examine/locked-exclusively.ts";
import { makeLedger, startBystander, startWriter, testFolder } from "../support/sqlite.ts";

async function inspected(path: string) {
  return sqliteEngine({ databases: [{ name: "app", path }] }).inspect();
}

async function ledger(shape: Parameters<typeof makeLedger>[1] = {}): Promise<string> {
  const path = join(await testFolder(), "app.db");
  makeLedger(path, shape);
  return path;
}

test("a database in WAL mode under traffic gives no finding, and inspecting leaves no file", async () => {
  const path = await ledger();
  expect(await inspected(path)).toEqual([]);
  expect(await readdir(join(path, ".."))).toEqual(["app.db"]);
  await startWriter(path);
  expect(await inspected(path)).toEqual([]);
});

test("who keeps everybody else out of a database in WAL mode is named, and an alert in the status", async () => {
  const path = await ledger();
  const { child } = await startBystander(path, "exclusive");
  const locked = { id: "sqlite-locked-exclusively", severity: "error" };
  expect(await inspected(path)).toMatchObject([
    { ...locked, summary: expect.stringContaining(`process ${child.pid} keeps`) },
  ]);
  const engine = sqliteEngine({ databases: [{ name: "app", path }] });
  expect(await engine.status(null, null)).toMatchObject({ alerts: [locked] });
});

test("who has a database alone for a moment, as to close it, keeps nobody out", async () => {
  const path = await ledger();
  const alone = new Database(path);
  alone.pragma("locking_mode = EXCLUSIVE");
  alone.exec("BEGIN EXCLUSIVE; COMMIT");
  expect(await lockedExclusivelyBy(path)).toBe(process.pid);
  // The first look is at once.
  const found = lockedExclusivelyBy(path);
  alone.close();
  expect(await found).toBeUndefined();
});

test("a rollback-journal database gets the advice to use WAL", async () => {
  expect(await inspected(await ledger({ journalMode: "delete" }))).toMatchObject([
    { id: "sqlite-rollback-journal", severity: "warning" },
  ]);
});

test("what is advised can be pasted into a shell, whatever the file's name", async () => {
  const path = join(await testFolder(), "it's a shop.db");
  makeLedger(path, { journalMode: "delete" });
  const [finding] = await sqliteEngine({ databases: [{ name: "app", path }] }).inspect();
  expect(finding?.remedy).toContain(`sqlite3 '${path.replace("'", "'\\''")}' "PRAGMA`);
});

test("what a backup would refuse is an error here, and an alert in the status", async () => {
  const path = await ledger();
  await rm(path);
  const engine = sqliteEngine({ databases: [{ name: "app", path }] });
  const missing = { id: "sqlite-database-missing", severity: "error" };
  expect(await engine.inspect()).toMatchObject([missing]);
  expect(await engine.status(null, null)).toMatchObject({
    archive: null,
    slots: [],
    alerts: [missing],
  });
});

test("a -wal with a wrong header is an error", async () => {
  const path = await ledger();
  const database = new Database(path);
  database.exec("UPDATE counter SET v = v + 1");
  onTestFinished(() => {
    database.close();
  });
  const wal = await open(`${path}-wal`, "r+");
  const { buffer: byte } = await wal.read(Buffer.alloc(1), 0, 1, 30);
  await wal.write(Buffer.from([(byte[0] as number) ^ 1]), 0, 1, 30);
  await wal.close();
  expect(await inspected(path)).toMatchObject([
    { id: "sqlite-wal-header-invalid", severity: "error" },
  ]);
});

test("a WAL that a reader keeps from being checkpointed is found, with the reader's process", async () => {
  const path = await ledger();
  const keeper = new Database(path);
  keeper.exec("UPDATE counter SET v = v + 1");
  const reader = await startBystander(path, "read");
  keeper.exec("UPDATE ledger SET payload = randomblob(400000)");
  const [finding] = await inspected(path);
  expect(finding).toMatchObject({ id: "sqlite-wal-held", severity: "warning" });
  if (process.platform === "linux") expect(finding?.summary).toContain(`${reader.child.pid}`);
  keeper.close();
});

test("a WAL file that grew large is a warning", async () => {
  const path = await ledger();
  const database = new Database(path);
  database.exec("UPDATE counter SET v = v + 1");
  await truncate(`${path}-wal`, 70 << 20);
  expect(await inspected(path)).toMatchObject([{ id: "sqlite-wal-large", severity: "warning" }]);
  database.close();
});

test("of several databases each is inspected, and told that each is consistent by itself", async () => {
  const [first, second] = [await ledger(), await ledger({ journalMode: "delete" })];
  const engine = sqliteEngine({
    databases: [
      { name: "first", path: first },
      { name: "second", path: second },
    ],
  });
  expect(await engine.databases()).toEqual(["first", "second"]);
  expect((await engine.inspect()).map(({ id }) => id)).toEqual([
    "sqlite-rollback-journal",
    "sqlite-several-databases",
  ]);
});
