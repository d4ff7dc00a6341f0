import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import {
  expectBetween,
  expectCleanPrefix,
  type LedgerShape,
  makeLedger,
  startBystander,
  startWriter,
  testFolder,
  type Writer,
} from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

async function ledgerApp(shape: LedgerShape, limits: SqliteApp["limits"] = {}): Promise<SqliteApp> {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"), limits);
  makeLedger(app.path, shape);
  return app;
}

async function backUpAndProve(app: SqliteApp, writer: Writer, round = 0) {
  const before = await writer.acknowledged();
  const report = await app.backup();
  const after = await writer.acknowledged();
  const { path } = await app.restore(join(app.folder, `restored-${round}`));
  expectBetween(expectCleanPrefix(path), before, after);
  return report;
}

test("in WAL mode the file is pinned and writers wait only at the gate", async () => {
  const app = await ledgerApp({ rows: 2000 });
  const writer = await startWriter(app.path, { rate: 500 });
  const report = await backUpAndProve(app, writer);
  const details = await app.details();
  expect(details).toMatchObject({ way: "pin", journalMode: "wal", pageSize: 4096 });
  expect(details.heldMilliseconds).toBeLessThan(Number(details.copySeconds) * 1000);
  expect(report.findings).toEqual([]);
});

test("a writer of 1500 commits a second with small checkpoints of its own gets a clean copy each time", async () => {
  const app = await ledgerApp({ rows: 200 });
  const writer = await startWriter(app.path, { rate: 1500, autocheckpoint: 20 });
  for (let round = 0; round < 8; round++) await backUpAndProve(app, writer, round);
});

test("processes that loop TRUNCATE checkpoints and long reads never make a copy wrong", async () => {
  const app = await ledgerApp({ rows: 200 }, { pinPatienceMs: 300 });
  const writer = await startWriter(app.path, { rate: 1000, autocheckpoint: 20 });
  await startBystander(app.path, "checkpoint");
  for (let round = 0; round < 6; round++) await backUpAndProve(app, writer, round);
});

test("the WAL that grew while the file was pinned is used again afterwards", async () => {
  const app = await ledgerApp({ rows: 5000 });
  const writer = await startWriter(app.path, { rate: 1000, payload: 4000 });
  await backUpAndProve(app, writer);
  const { walBytes } = await app.details();
  await writer.commits(3000);
  const database = new Database(app.path);
  const [progress] = database.pragma("wal_checkpoint(NOOP)") as { log: number }[];
  database.close();
  // 3000 commits of three pages and more would be 36 MB in a WAL that nobody may start again.
  expect((progress?.log ?? 0) * 4096).toBeLessThan(Number(walBytes) + 20_000_000);
});

test("an old reader sends the backup to the online backup API, which is told", async () => {
  const app = await ledgerApp({ rows: 500 }, { pinPatienceMs: 200 });
  await startBystander(app.path, "read");
  const writer = await startWriter(app.path, { rate: 1000 });
  const report = await backUpAndProve(app, writer);
  expect(await app.details()).toMatchObject({ way: "backup-api", journalMode: "wal" });
  expect(report.findings).toMatchObject([
    {
      id: "sqlite-old-reader",
      summary: expect.stringContaining("for 0.2 s its WAL could not be copied back"),
    },
  ]);
});

test("a write transaction that stays open keeps no backup out", async () => {
  const app = await ledgerApp({ rows: 50 }, { pinPatienceMs: 200 });
  await startBystander(app.path, "write");
  await app.backup();
  expect(await app.details()).toMatchObject({ way: "backup-api" });
  expect(expectCleanPrefix((await app.restore(join(app.folder, "restored"))).path)).toBe(50);
});

test.each(["delete", "truncate", "persist"] as const)(
  "a rollback-journal database (%s) is copied under a shared lock, whose length is told",
  async (journal) => {
    const app = await ledgerApp({ rows: 500, journalMode: "delete" });
    const writer = await startWriter(app.path, { rate: 200, journal });
    for (let round = 0; round < 3; round++) {
      const report = await backUpAndProve(app, writer, round);
      expect(report.findings).toMatchObject([
        { id: "sqlite-rollback-journal", severity: "warning" },
      ]);
    }
    const details = await app.details();
    expect(details).toMatchObject({ way: "shared-lock", journalMode: "rollback" });
    expect(details.heldMilliseconds).toBeGreaterThan(0);
  },
);

test("without room for a raw copy the file is stored straight from under the pin", async () => {
  const app = await ledgerApp({ rows: 1000 }, { spareBytes: Number.MAX_SAFE_INTEGER });
  const writer = await startWriter(app.path, { rate: 500 });
  const report = await backUpAndProve(app, writer);
  expect(await app.details()).toMatchObject({ way: "pin" });
  expect(report.findings.map(({ id }) => id)).toEqual(["sqlite-no-room-for-copy"]);
});

test("without room for a raw copy an old reader ends the backup with NO_SPACE", async () => {
  const app = await ledgerApp({}, { pinPatienceMs: 100, spareBytes: Number.MAX_SAFE_INTEGER });
  await startBystander(app.path, "read");
  await startWriter(app.path);
  await expect(app.backup()).rejects.toMatchObject({ code: "NO_SPACE", kind: "failed" });
});

test("a WAL that grows past what its disk can spare ends the backup, and the next one works", async () => {
  const shape = { rows: 20_000 };
  const limits = { walGrowthBytes: 10_000, spareBytes: Number.MAX_SAFE_INTEGER };
  const app = await ledgerApp(shape, limits);
  const writer = await startWriter(app.path, { rate: 1000, payload: 4000 });
  await expect(app.backup()).rejects.toMatchObject({ code: "WAL_GREW" });
  await backUpAndProve(new SqliteApp(app.folder, app.path), writer);
});

test("the copy holds the state of consistentAt: commits before it, and none after", async () => {
  const app = await ledgerApp({ rows: 50 });
  const writer = await startWriter(app.path, { rate: 1000 });
  const { consistentAt } = await app.backup();
  await writer.commits(20);
  const newest = expectCleanPrefix((await app.restore(join(app.folder, "restored"))).path);
  const at = Date.parse(consistentAt);
  for (const { seq, acknowledgedAt } of await writer.ledger()) {
    if (acknowledgedAt < at) expect(seq).toBeLessThanOrEqual(newest);
    // Each is acknowledged before the next is begun: only the newest may have been afterwards.
    if (seq < newest) expect(acknowledgedAt).toBeLessThanOrEqual(at);
  }
});
