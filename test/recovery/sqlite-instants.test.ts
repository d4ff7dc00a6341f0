import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { ledgerApp } from "../support/ledger-app.ts";
import { expectCleanPrefix, makeLedger, startWriter, testFolder } from "../support/sqlite.ts";
import { closeHistories, dumpOf, history } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

afterEach(closeHistories);

let places = 0;
async function restored(app: SqliteApp, at?: number, exclusive = false) {
  places += 1;
  const target =
    at === undefined
      ? ({ kind: "latest" } as const)
      : ({ kind: "time", at: new Date(at), exclusive } as const);
  return app.restore(join(app.folder, `to-${places}`), { target });
}

test.each([512, 4096, 65536])(
  "every instant of a log that another process writes is restored exactly: all that was committed by then, nothing later (pages of %i bytes)",
  async (pageSize) => {
    const app = await ledgerApp({ pageSize, rows: 60 });
    // However slow the machine, it is never so far ahead that the WAL can't be read at once.
    const writer = await startWriter(app.path, { rate: 100, autocheckpoint: 0, paced: true });
    const recorder = await Recorder.begin(app);
    for (let segment = 0; segment < 6; segment++) {
      for (let poll = 0; poll < 4; poll++) {
        await writer.commits(4);
        await recorder.poll();
      }
      await recorder.ship();
    }
    await writer.stop("SIGKILL");
    const ledger = await writer.ledger();
    const { manifests } = await app.manifests();
    const from = Date.parse(manifests[0]?.consistentAt ?? "");
    const to = Date.parse((await restored(app)).recoveredTo ?? "");
    for (const part of [0, 0.2, 0.5, 0.77, 1]) {
      const at = Math.round(from + part * (to - from));
      const { path, recoveredTo } = await restored(app, at);
      const newest = expectCleanPrefix(path);
      const upTo = Date.parse(recoveredTo ?? "");
      expect(upTo).toBeLessThanOrEqual(at);
      const began = recorder.began.get(upTo) ?? upTo;
      const acknowledged = (until: number) =>
        ledger.filter(({ acknowledgedAt }) => acknowledgedAt < until).length + 60;
      // All that was acknowledged before the look that made the mark; of what came later only the one under way.
      expect(newest).toBeGreaterThanOrEqual(acknowledged(began));
      expect(newest).toBeLessThanOrEqual(acknowledged(upTo + 1) + 1);
    }
    expect(await app.verify(true)).toMatchObject({ ok: true, problems: [] });
  },
);

const HARD = [
  "INSERT INTO counter VALUES (7)",
  "CREATE TABLE big AS SELECT seq, hex(randomblob(3000)) AS b FROM ledger",
  "CREATE TABLE w(a TEXT PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO w SELECT hex(randomblob(8)), seq FROM ledger",
  "CREATE VIRTUAL TABLE words USING fts5(w); INSERT INTO words SELECT b FROM big LIMIT 10",
  "DROP TABLE big",
  "VACUUM",
  "ALTER TABLE w ADD COLUMN c DEFAULT 5; CREATE INDEX wb ON w(b)",
  "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO w SELECT hex(randomblob(40)), i, hex(randomblob(300)) FROM n; COMMIT",
  "DELETE FROM w WHERE b > 10; INSERT INTO words(words) VALUES ('optimize')",
  "PRAGMA incremental_vacuum; UPDATE counter SET v = 8 WHERE v = 7",
];

test.each([
  { pageSize: 512, autoVacuum: "none" },
  { pageSize: 1024, autoVacuum: "full" },
  { pageSize: 4096, autoVacuum: "incremental" },
  { pageSize: 65536, autoVacuum: "none" },
])(
  "CTAS, DROP, VACUUM, FTS5, WITHOUT ROWID, schema changes and a transaction that spills: each mark restores the very rows ($pageSize, auto_vacuum $autoVacuum)",
  async ({ pageSize, autoVacuum }) => {
    const app = await ledgerApp({ pageSize, rows: 40 });
    const setting = new Database(app.path);
    setting.exec(
      `PRAGMA journal_mode = delete; PRAGMA auto_vacuum = ${autoVacuum}; VACUUM; PRAGMA journal_mode = wal; PRAGMA cache_size = 10`,
    );
    setting.close();
    const { states } = await history(app, HARD, { perSegment: 2 });
    expect(states.length).toBeGreaterThan(8);
    for (const { at, dump: expected } of states) {
      const { path, recoveredTo } = await restored(app, at);
      expect(recoveredTo).toBe(new Date(at).toISOString());
      expect(dumpOf(path)).toBe(expected);
    }
  },
);

test("an instant between two commits restores the one before; --exclusive leaves out what is of that instant", async () => {
  const app = await ledgerApp();
  const { states } = await history(app, [
    "UPDATE counter SET v = 1",
    "UPDATE counter SET v = 2",
    "UPDATE counter SET v = 3",
  ]);
  const [first, second, third] = states as [
    (typeof states)[0],
    (typeof states)[0],
    (typeof states)[0],
  ];
  expect(dumpOf((await restored(app, third.at - 1)).path)).toBe(second.dump);
  expect(dumpOf((await restored(app, second.at, true)).path)).toBe(first.dump);
  expect(dumpOf((await restored(app)).path)).toBe(third.dump);
  await expect(restored(app, third.at + 1)).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
    remedy: expect.stringContaining(new Date(third.at).toISOString()),
  });
});

test("an instant applies to each of an app's databases; one that wrote nothing since comes back to its last commit", async () => {
  const folder = await testFolder();
  const apps = ["orders", "users"].map((name) => {
    makeLedger(join(folder, `${name}.db`));
    return new SqliteApp(folder, join(folder, `${name}.db`), {}, name);
  }) as [SqliteApp, SqliteApp];
  const [orders, users] = apps;
  const early = await history(orders, ["UPDATE counter SET v = 1"]);
  const other = await history(users, ["UPDATE counter SET v = 100", "UPDATE counter SET v = 200"]);
  const late = await history(
    orders,
    ["UPDATE counter SET v = 2", "UPDATE counter SET v = 3"],
    early,
  );
  const at = (instant: number) => restored(orders, instant);
  const both = async (instant: number) =>
    new Map((await at(instant)).databases.map(({ database, path }) => [database, dumpOf(path)]));
  const [first, second] = other.states as [(typeof other.states)[0], (typeof other.states)[0]];
  expect(await both(first.at)).toEqual(
    new Map([
      ["orders", early.states[0].dump],
      ["users", first.dump],
    ]),
  );
  expect(await both(late.states[0].at)).toEqual(
    new Map([
      ["orders", late.states[0].dump],
      ["users", second.dump],
    ]),
  );
});

test.each([
  ["behind the last commit of a segment", false],
  ["in the midst of a segment", true],
])(
  "a backup %s: between it and the next mark it alone is the state, and nothing older is laid over it",
  async (_, inTheMidst) => {
    const folder = await testFolder();
    const app = new SqliteApp(folder, join(folder, "app.db"));
    makeLedger(app.path);
    const recorder = await Recorder.begin(app);
    const database = new Database(app.path);
    database.pragma("wal_autocheckpoint = 0");
    const set = (v: number) => database.prepare("UPDATE counter SET v = ?").run(v);
    const later = () => new Promise((resolve) => setTimeout(resolve, 5));
    set(0);
    await recorder.ship();
    await later();
    set(1);
    const first = (await recorder.poll()) as number;
    await later();
    set(2);
    // A reader of the newest commit keeps nothing from being copied back, and the WAL from being begun anew.
    const reader = new Database(app.path, { readonly: true });
    if (inTheMidst) reader.exec("BEGIN; SELECT v FROM counter");
    const { consistentAt, id } = await app.backupIncrement();
    await later();
    let second: number | undefined;
    // As a shipper does: a segment holds frames of one run of the WAL.
    if (!inTheMidst) {
      second = (await recorder.poll()) as number;
      await recorder.ship();
      await later();
    }
    set(3);
    const third = (await recorder.poll()) as number;
    await recorder.ship();
    const value = async (at: number) => {
      const { path, backup, recoveredTo } = await restored(app, at);
      const copy = new Database(path, { readonly: true });
      const v = copy.prepare("SELECT v FROM counter").pluck().get();
      copy.close();
      return { v, backup, recoveredTo };
    };
    const base = Date.parse(consistentAt);
    expect(await value(first)).toMatchObject({ v: 1 });
    expect(await value(base)).toEqual({ v: 2, backup: id, recoveredTo: consistentAt });
    expect(await value(base + 1)).toEqual({ v: 2, backup: id, recoveredTo: consistentAt });
    if (second !== undefined) expect(await value(second)).toMatchObject({ v: 2, backup: id });
    expect(await value(third)).toMatchObject({ v: 3, backup: id });
    reader.close();
    database.close();
  },
);
