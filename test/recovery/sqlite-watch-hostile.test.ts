import { createHash } from "node:crypto";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { ledgerApp } from "../support/ledger-app.ts";
import {
  expectCleanPrefix,
  startBystander,
  startCliWriter,
  startWriter,
  testFolder,
} from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { restoreByHand, segmentsOf, WatchProcess } from "../support/sqlite-watch.ts";

/** Another program, an older SQLite than ours, which opens the database and closes it last each time. */
async function sqlite3(path: string, ...statements: string[]): Promise<string> {
  const { stdout } = await execa("sqlite3", ["-cmd", ".timeout 20000", path, ...statements]);
  return stdout;
}

/** Of all its schema and rows. */
async function digestOf(path: string): Promise<string> {
  const dump = await sqlite3(path, ".dump");
  return `${dump.length} ${createHash("sha256").update(dump).digest("hex")}`;
}

async function expectSameContent(app: SqliteApp): Promise<void> {
  const live = await digestOf(app.path);
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(await digestOf(path)).toBe(live);
  const copy = await restoreByHand(app, join(app.folder, "by-hand"));
  expect(await digestOf(copy)).toBe(live);
  expect(await sqlite3(copy, "PRAGMA integrity_check")).toBe("ok");
  expect((await app.verify(true)).problems).toEqual([]);
}

test.each([0, 1, 2])(
  "whatever an app does to its schema and its file is shipped (auto_vacuum %i)",
  async (autoVacuum) => {
    const folder = await testFolder();
    const app = new SqliteApp(folder, join(folder, "app.db"));
    await sqlite3(
      app.path,
      `PRAGMA auto_vacuum = ${autoVacuum}; PRAGMA journal_mode = WAL; CREATE TABLE t(a, b)`,
    );
    const watch = await WatchProcess.start(app);
    for (const statement of [
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, hex(randomblob(500)) FROM n",
      "CREATE TABLE copy AS SELECT * FROM t",
      "CREATE TABLE pairs(a, b, PRIMARY KEY(a, b)) WITHOUT ROWID; INSERT INTO pairs SELECT a, b FROM t WHERE a % 3 = 0",
      "CREATE VIRTUAL TABLE words USING fts5(text); INSERT INTO words SELECT b FROM t LIMIT 500",
      "DROP TABLE copy",
      "VACUUM",
      "ALTER TABLE t ADD COLUMN c DEFAULT 'x'; UPDATE t SET c = a WHERE a % 2 = 0; DELETE FROM t WHERE a % 5 = 0",
      "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(PASSIVE)",
      "INSERT INTO words(words) VALUES ('optimize'); PRAGMA user_version = 7",
    ])
      await sqlite3(app.path, statement);
    expect(await watch.stop()).toBe(0);
    expect((await segmentsOf(app)).size).toBe(1);
    await expectSameContent(app);
  },
);

test("other processes that checkpoint all the time, read for long and roll back what they spilled lose nothing", async () => {
  const app = await ledgerApp({ rows: 500 });
  const writer = await startWriter(app.path, { rate: 300, autocheckpoint: 20 });
  const watch = await WatchProcess.start(app);
  const reader = await startBystander(app.path, "read");
  await writer.commits(200);
  await reader.kill();
  const spiller = await startBystander(app.path, "spill");
  await spiller.kill();
  // Beside a long read it would keep everybody's writes out by itself.
  const checkpointer = await startBystander(app.path, "checkpoint");
  await writer.commits(100);
  await checkpointer.kill();
  await writer.stop();
  const acknowledged = await writer.acknowledged();
  // One that never ceases may cost a lineage: a new one has begun then, and nothing of the end is missing.
  await watch.isShipping();
  expect(await watch.stop()).toBe(0);
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(expectCleanPrefix(path)).toBe(acknowledged);
  expect((await app.verify(true)).problems).toEqual([]);
});

test("an app's own checkpoint of any kind is not kept waiting for its whole patience, and costs no lineage", async () => {
  const app = await ledgerApp();
  const watch = await WatchProcess.start(app);
  for (const kind of ["FULL", "RESTART", "TRUNCATE"]) {
    await sqlite3(app.path, `INSERT INTO ledger SELECT max(seq) + 1, 'x' FROM ledger`);
    // Busy in its first column after the 20 seconds of its patience; 0 when it was let through.
    const [busy] = (await sqlite3(app.path, `PRAGMA wal_checkpoint(${kind})`)).split("|");
    expect({ kind, busy }).toEqual({ kind, busy: "0" });
  }
  await sqlite3(app.path, "INSERT INTO ledger SELECT max(seq) + 1, 'end' FROM ledger");
  expect(await watch.stop()).toBe(0);
  expect((await segmentsOf(app)).size).toBe(1);
  await expectSameContent(app);
});

test("a transaction larger than what is kept in memory is one segment, and the watch stays small", async () => {
  const app = await ledgerApp();
  const watch = await WatchProcess.start(app);
  await sqlite3(
    app.path,
    "CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT i, randomblob(4000) noise FROM n",
  );
  await expect
    .poll(async () => (await watch.note())?.facts)
    .toMatchObject({ lastSegment: expect.any(String), unshippedBytes: 0 });
  await sqlite3(app.path, "INSERT INTO big VALUES (0, 'after it')");
  expect(await watch.stop()).toBe(0);
  expect((await segmentsOf(app)).size).toBe(1);
  await expectSameContent(app);
});

test("a writer with an older SQLite is followed as one with ours", async () => {
  const app = await ledgerApp();
  const writer = await startCliWriter(app.path);
  const watch = await WatchProcess.start(app);
  await writer.commits(200);
  await writer.stop();
  const acknowledged = await writer.acknowledged();
  expect(await watch.stop()).toBe(0);
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(expectCleanPrefix(path)).toBe(acknowledged);
});

test("a backup that another process takes meanwhile is right, and so is one taken of a lineage by its own watch", async () => {
  const app = await ledgerApp({ rows: 500 });
  const writer = await startWriter(app.path, { rate: 200 });
  const watch = await WatchProcess.start(app);
  const before = await writer.acknowledged();
  const { id } = await app.backup();
  await writer.stop();
  const acknowledged = await writer.acknowledged();
  expect(await watch.stop()).toBe(0);
  const apart = await app.restore(join(app.folder, "apart"), { target: { kind: "backup", id } });
  expect(expectCleanPrefix(apart.path)).toBeGreaterThanOrEqual(before);
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(expectCleanPrefix(path)).toBe(acknowledged);
});
