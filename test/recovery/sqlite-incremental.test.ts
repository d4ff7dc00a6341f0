import { mkdir, open, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { encodeManifest, list, type Manifest, status } from "@lifeboat/core";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { ledgerApp } from "../support/ledger-app.ts";
import {
  expectBetween,
  expectCleanPrefix,
  startBystander,
  startWriter,
  testFolder,
} from "../support/sqlite.ts";
import { closeHistories, history } from "../support/sqlite-history.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

/** Runs statements as the app would, and closes. */
function change(app: SqliteApp, sql: string): void {
  const database = new Database(app.path);
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}

let places = 0;
/** Restores a backup (the newest when left out) and expects the very bytes that the database has, which nobody has open. */
async function expectSameFile(app: SqliteApp, id?: string, bytes?: Buffer): Promise<void> {
  const target = id === undefined ? undefined : ({ kind: "backup", id } as const);
  places += 1;
  const { path } = await app.restore(join(app.folder, `to-${places}`), target ? { target } : {});
  const [restored, original] = [await readFile(path), bytes ?? (await readFile(app.path))];
  expect(restored.length).toBe(original.length);
  expect(restored.equals(original)).toBe(true);
}

async function objectOf(app: SqliteApp, role: string): Promise<{ path: string; bytes: number }> {
  const { folder, manifests } = await app.manifests();
  const manifest = manifests.at(-1);
  const object = manifest?.objects.find((each) => each.role === role);
  if (!manifest || !object) throw new Error(`no ${role}`);
  const path = join(app.folder, "repository", folder.objectPath(manifest, object));
  return { path, bytes: object.content.bytes };
}

const SHAPES = [512, 4096, 65536].flatMap((pageSize) =>
  (["wal", "delete"] as const).map((journalMode) => ({ pageSize, journalMode })),
);
test.each(SHAPES)(
  "a chain of incremental backups restores each of its states, byte for byte ($pageSize, $journalMode)",
  async (shape) => {
    const app = await ledgerApp({ ...shape, rows: 100 });
    await app.backup();
    const states: { id: string; bytes: Buffer }[] = [];
    for (const sql of [
      "UPDATE ledger SET payload = randomblob(4000) WHERE seq % 7 = 0",
      "CREATE TABLE more AS SELECT seq, randomblob(9000) AS b FROM ledger",
      "CREATE VIRTUAL TABLE words USING fts5(w); INSERT INTO words SELECT hex(payload) FROM ledger LIMIT 20",
      "DROP TABLE more; DELETE FROM words; CREATE TABLE w(a TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO w SELECT hex(randomblob(9)) FROM ledger",
      "VACUUM",
      "SELECT 1",
    ]) {
      change(app, sql);
      const report = await app.backupIncrement();
      expect([
        report.type,
        report.findings.filter(({ id }) => id !== "sqlite-rollback-journal"),
      ]).toEqual(["incremental", []]);
      states.push({ id: report.id, bytes: await readFile(app.path) });
    }
    for (const { id, bytes } of states) await expectSameFile(app, id, bytes);
  },
);

test("an incremental backup stores the changed pages only, and of an unchanged database one page", async () => {
  const app = await ledgerApp({ rows: 2000 });
  const full = await app.backup();
  change(app, "UPDATE counter SET v = v");
  const { id, parent, type } = await app.backupIncrement();
  expect([type, parent, id.endsWith("-incr")]).toEqual(["incremental", full.id, true]);
  expect((await objectOf(app, "pages")).bytes).toBeLessThan(10 * 4096);
  await app.backupIncrement();
  expect((await objectOf(app, "pages")).bytes).toBe(32 + 24 + 4096);
  await expectSameFile(app);
});

test("auto-vacuum that shrinks the file between backups", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  change(
    app,
    "PRAGMA auto_vacuum = FULL; PRAGMA journal_mode = WAL; CREATE TABLE t(b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t SELECT randomblob(5000) FROM n",
  );
  await app.backup();
  const before = (await readFile(app.path)).length;
  change(app, "DELETE FROM t WHERE rowid > 50");
  await app.backupIncrement();
  expect((await readFile(app.path)).length).toBeLessThan(before / 2);
  await expectSameFile(app);
});

test("a database that changes its journal mode between backups", async () => {
  const app = await ledgerApp({});
  await app.backup();
  for (const mode of ["delete", "wal"]) {
    change(app, `PRAGMA journal_mode = ${mode}; UPDATE counter SET v = v`);
    expect(await app.backupIncrement()).toMatchObject({ type: "incremental" });
    await expectSameFile(app);
  }
});

test("pages of another size make the backup a full one, which is told", async () => {
  const app = await ledgerApp({ pageSize: 1024, journalMode: "delete" });
  await app.backup();
  change(app, "PRAGMA page_size = 8192; VACUUM");
  const { type, parent, findings } = await app.backupIncrement();
  expect([type, parent]).toEqual(["full", null]);
  expect(findings).toContainEqual(
    expect.objectContaining({
      id: "incremental-became-full",
      severity: "info",
      summary: expect.stringContaining("8192"),
    }),
  );
  expect(await app.backupIncrement()).toMatchObject({ type: "incremental" });
  await expectSameFile(app);
});

test.each(["flipped", "cut", "removed"])(
  "page hashes that were %s make the backup a full one, which names them",
  async (how) => {
    const app = await ledgerApp({});
    await app.backup();
    const { path } = await objectOf(app, "page-hashes");
    if (how === "removed") await rm(path);
    else if (how === "cut") await truncate(path, 60);
    else {
      const file = await open(path, "r+");
      await file.write(Buffer.from("damage"), 0, 6, 30);
      await file.close();
    }
    const { type, findings } = await app.backupIncrement();
    expect(type).toBe("full");
    expect(findings).toMatchObject([
      {
        id: "incremental-became-full",
        severity: "warning",
        summary: expect.stringContaining("app.db-pages.zst"),
      },
    ]);
    expect(await app.backupIncrement()).toMatchObject({ type: "incremental", findings: [] });
    await expectSameFile(app);
  },
);

test.each(["cut", "removed"])(
  "a base whose pages were %s is told by status, and the next backup does not build on it",
  async (how) => {
    const app = await ledgerApp({});
    await app.backup();
    const { path } = await objectOf(app, "database");
    await app.backupIncrement();
    if (how === "removed") await rm(path);
    else await truncate(path, 60);
    const told = async () => {
      const repository = await app.repository();
      const { alerts } = await status({ repository, engines: [app.engine], live: "sqlite" });
      return alerts.filter(({ id }) => id === "backup-damaged").map(({ summary }) => summary);
    };
    expect(await told()).toEqual([expect.stringContaining("app.db.zst")]);
    const { type, findings } = await app.backupIncrement();
    expect([type, findings[0]?.id]).toEqual(["full", "incremental-became-full"]);
    expect(await told()).toEqual([]);
    await expectSameFile(app);
  },
);

test("incremental backups under traffic restore to clean prefixes, pinned, streamed, or through the backup API", async () => {
  for (const limits of [{}, { spareBytes: Number.MAX_SAFE_INTEGER }, { pinPatienceMs: 50 }]) {
    const app = await ledgerApp({ rows: 500 }, limits);
    const reader = "pinPatienceMs" in limits ? await startBystander(app.path, "read") : undefined;
    const writer = await startWriter(app.path, { rate: 500 });
    await app.backup();
    for (let round = 0; round < 3; round++) {
      const before = await writer.acknowledged();
      expect(await app.backupIncrement()).toMatchObject({ type: "incremental" });
      const after = await writer.acknowledged();
      const { path } = await app.restore(join(app.folder, `restored-${round}`));
      expectBetween(expectCleanPrefix(path), before, after);
    }
    await writer.stop();
    await reader?.kill();
  }
});

test("a chain whose middle is damaged names the object, and leaves nothing; verify tells what builds on it", async () => {
  const app = await ledgerApp({});
  await app.backup();
  change(app, "UPDATE counter SET v = v");
  await app.backupIncrement();
  const { path } = await objectOf(app, "pages");
  const { id: child } = await app.backupIncrement();
  await app.backupIncrement();
  const file = await open(path, "r+");
  await file.write(Buffer.from("damage"), 0, 6, 100);
  await file.close();
  await expect(app.restore(join(app.folder, "to"))).rejects.toMatchObject({
    code: "CHECKSUM_MISMATCH",
    message: expect.stringContaining("app.db-wal.zst"),
  });
  await expect(readFile(join(app.folder, "to"))).rejects.toMatchObject({ code: "ENOENT" });
  const builds = expect.stringMatching(`SHA-256 .*; ${child} and 1 more build on this backup$`);
  expect((await app.verify(false)).problems).toMatchObject([{ message: builds }]);
  // Of page hashes nothing that can be restored depends.
  const hashes = await open(join(dirname(path), "app.db-pages.zst"), "r+");
  await hashes.truncate(30);
  await hashes.close();
  const needless = expect.stringMatching(/pages\.zst has 30 bytes .*; no restore needs it, only /);
  const { problems } = await app.verify(false);
  expect(problems).toMatchObject([{ message: needless }, { message: builds }]);
});

test("a full backup whose manifest was lost: what builds on it is told, nothing older is restored as the latest, its objects stay, and the next incremental one is full", async () => {
  const app = await ledgerApp({});
  const older = await app.backup();
  change(app, "UPDATE counter SET v = 1");
  const base = await app.backup();
  change(app, "UPDATE counter SET v = 2");
  const top = await app.backupIncrement();
  const { folder } = await app.manifests();
  const manifest = join(app.folder, "repository", folder.backupPath(base.id), "manifest.json");
  const bytes = await readFile(manifest);
  await rm(manifest);

  const lost = [
    { object: `${folder.backupPath(top.id)}/manifest.json`, code: "BACKUP_PARENT_MISSING" },
  ];
  const repository = await app.repository();
  const engines = [app.engine];
  const { problems, windows } = await list({ repository, engines, live: "sqlite" });
  expect(problems).toMatchObject(lost);
  expect(windows.map(({ from, to }) => [from, to])).toEqual([
    [older.consistentAt, older.consistentAt],
  ]);
  const { alerts } = await status({ repository, engines, live: "sqlite" });
  expect(alerts.map(({ id }) => id)).toContain("manifest-damaged");
  expect(alerts.map(({ id }) => id)).not.toContain("backup-interrupted");
  for (const target of [{ kind: "latest" }, { kind: "backup", id: top.id }] as const)
    await expect(app.restore(join(app.folder, "refused"), { target })).rejects.toMatchObject({
      code: "BACKUP_PARENT_MISSING",
      message: expect.stringContaining(base.id),
    });
  const next = await app.backupIncrement();
  expect([next.type, next.findings[0]?.id]).toEqual(["full", "incremental-became-full"]);
  await expectSameFile(app);

  await writeFile(manifest, bytes);
  expect((await app.verify(true)).problems).toEqual([]);
  await expectSameFile(app, top.id);
});

test("a backup that lacks what it builds on stands in no way of the log that leads beyond it", async () => {
  const app = await ledgerApp({});
  await history(
    app,
    [1, 2, 3].map((v) => `UPDATE counter SET v = ${v}`),
  );
  onTestFinished(closeHistories);
  const { folder, manifests } = await app.manifests();
  const [base] = manifests as [Manifest];
  const id = base.id.replace("-full", "-incr");
  const orphan: Manifest = {
    ...base,
    id,
    type: "incremental",
    parent: base.id.replace(/^..../, "2000"),
  };
  const place = join(app.folder, "repository", folder.backupPath(id));
  await mkdir(place);
  await writeFile(join(place, "manifest.json"), encodeManifest(orphan));
  const { path, backup } = await app.restore(join(app.folder, "to"));
  expect(backup).toBe(base.id);
  const restored = new Database(path);
  expect(restored.prepare("SELECT v FROM counter").pluck().get()).toBe(3);
  restored.close();
});

test("the page at 1 GiB, which SQLite never uses, is neither hashed nor stored", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  change(app, "PRAGMA page_size = 65536; PRAGMA journal_mode = WAL; CREATE TABLE t(b)");
  change(
    app,
    "INSERT INTO t VALUES (zeroblob(500000000)), (zeroblob(500000000)), (zeroblob(73500000))",
  );
  await app.backup();
  const lockPage = (1 << 30) / 65536;
  const file = await open(app.path, "r+");
  await file.write(Buffer.from("rubbish"), 0, 7, lockPage * 65536);
  await file.close();
  change(app, "INSERT INTO t VALUES (zeroblob(5000000))");
  await app.backupIncrement();
  const { bytes } = await objectOf(app, "pages");
  expect(bytes).toBeGreaterThan(5_000_000);
  expect(bytes).toBeLessThan(7_000_000);
  const { path } = await app.restore(join(folder, "to"));
  const copy = new Database(path, { readonly: true });
  expect(copy.prepare("SELECT sum(length(b)) FROM t").pluck().get()).toBe(1_078_500_000);
  copy.close();
});
