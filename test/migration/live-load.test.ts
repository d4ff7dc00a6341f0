import {
  abortMigration,
  type LoadReport,
  loadMigration,
  type MigrationRequest,
  migrationStatus,
  planMigration,
  sealPlan,
  syncMigration,
  verifyMigration,
} from "@lifeboat/migrate";
import Database from "better-sqlite3";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
  vi,
} from "vitest";
import { LiveSource } from "../../packages/migrate/src/live-source.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { atNotes } from "./at-notes.ts";
import { LIVE_SCHEMA, startLiveWriter } from "./cutover-case.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

describe("a load while the product writes", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    one = await migrationCase(cluster, LIVE_SCHEMA);
  });
  afterEach(() => one.end());

  const request = () => ({
    sqlite: { path: one.path },
    postgres: { url: one.url },
    signal: new AbortController().signal,
  });

  it("holds all that was acknowledged once the writer is still and the rest was brought", async () => {
    const plan = await one.plan();
    const writer = await startLiveWriter(one);
    const loaded = await loadMigration({ ...request(), live: true });
    expect(loaded.rows).toBeGreaterThan(20_000);
    await syncMigration({ ...request(), until: "caught-up" });
    await writer.stop();
    const { waiting } = await syncMigration({ ...request(), until: "caught-up" });
    expect(waiting).toBe(0);
    const { differences } = await compareIndependently(one.path, one.url, plan);
    expect(differences).toEqual([]);
    const rows = await one.query<{ seq: string }>(
      "SELECT seq FROM ledger WHERE seq > 0 ORDER BY seq",
    );
    expect(rows.map((row) => Number(row.seq))).toEqual(writer.acknowledged());
  });

  it("is followed after days without a sync by short reads, so that SQLite's WAL can be reset, and the product writes on", async () => {
    const plan = await one.plan();
    await loadMigration({ ...request(), live: true });
    one.sqlite(
      `UPDATE ledger SET body = 'of days ' || seq; DELETE FROM ledger WHERE seq % 9 = 0; INSERT INTO notes SELECT 'many', NULL FROM ledger;
       INSERT INTO accounts(email) SELECT 'a' || seq FROM ledger WHERE seq % 4 = 0; UPDATE accounts SET email = 'b' || id; UPDATE accounts SET email = 'a-' || (id + 1)`,
    );
    const writer = await startLiveWriter(one, { pause: 20 });
    const syncing = syncMigration({ ...request(), until: "caught-up" });
    let isOver = false;
    void syncing.finally(() => {
      isOver = true;
    });
    const product = new Database(one.path);
    const passive = () =>
      (product.pragma("wal_checkpoint(PASSIVE)") as { log: number; checkpointed: number }[])[0];
    /** When the transaction began that writes to Postgres; with the WAL's length as it was first seen. */
    let look = { began: "", frames: 0 };
    let isFreed = false;
    while (!isOver) {
      const wal = passive();
      const [at] = await one.query<{ began: string }>(
        `SELECT xact_start::text AS began FROM pg_stat_activity JOIN pg_locks USING (pid)
         WHERE relation = 'ledger'::regclass AND mode = 'RowExclusiveLock' AND application_name = 'lifeboat migrate sync'`,
      );
      if (!at) continue;
      if (at.began !== look.began) look = { began: at.began, frames: passive()?.log ?? 0 };
      else if ((wal?.checkpointed ?? 0) > look.frames) isFreed = true;
    }
    product.close();
    await syncing;
    expect(isFreed).toBe(true);
    await writer.stop();
    await syncMigration({ ...request(), until: "caught-up" });
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
  });

  it("is committed without a comparison where that is wanted, and counts as verified once it was compared", async () => {
    const { compared } = await loadMigration({ ...request(), live: true, compare: false });
    expect(compared).toBe(false);
    expect(await migrationStatus(request())).toMatchObject({ phase: "loaded", verifiedAt: null });
    expect(await verifyMigration(request())).toMatchObject({ ok: true });
    const { verifiedAt } = await migrationStatus(request());
    expect(verifiedAt).toEqual(expect.any(String));
  });

  it("makes all that the plan says: keys, indexes, checks, foreign keys, sequences and views", async () => {
    one.sqlite(
      `CREATE TABLE rated(id INTEGER PRIMARY KEY AUTOINCREMENT, n INT CHECK (n > 0), account INT REFERENCES accounts(id));
       INSERT INTO rated VALUES (70, 1, 1); DELETE FROM rated WHERE id = 70; INSERT INTO rated VALUES (7, 1, 1);
       CREATE INDEX by_n ON rated(n); CREATE VIEW best AS SELECT id FROM rated ORDER BY n DESC LIMIT 1`,
    );
    const plan = await one.plan();
    await loadMigration({ ...request(), live: true });
    const names = await one.query<{ name: string }>(
      `SELECT conname AS name FROM pg_constraint WHERE connamespace = 'public'::regnamespace
       UNION SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace`,
    );
    const planned = plan.ddl.filter(({ phase }) => phase !== "sequences").map(({ name }) => name);
    expect(planned).toEqual(
      expect.arrayContaining(["by_n", "best", "rated_check", "rated_account_fkey"]),
    );
    expect(names.map(({ name }) => name)).toEqual(expect.arrayContaining(planned));
    expect(await one.query("SELECT * FROM best")).toEqual([{ id: "7" }]);
    expect(await one.query("INSERT INTO rated(n) VALUES (2) RETURNING id")).toEqual([{ id: "71" }]);
  });

  it("keeps nothing in Postgres that SQLite could lose with the power", async () => {
    const durable = vi.spyOn(LiveSource.prototype, "makeDurable");
    onTestFinished(() => durable.mockRestore());
    durable.mockImplementationOnce(() => {
      throw new Error("the disk is gone");
    });
    await expect(loadMigration({ ...request(), live: true })).rejects.toThrow("the disk is gone");
    expect(await one.query("SELECT 1 FROM pg_class WHERE relname = 'ledger'")).toEqual([]);
    expect(await migrationStatus(request())).toMatchObject({ captured: false });
    await loadMigration({ ...request(), live: true });
    expect(durable).toHaveBeenCalledTimes(2);
  });

  it("goes by the plan that was reviewed, without reading every value again", async () => {
    const plan = sealPlan(await one.plan(), {});
    const product = new Database(one.path);
    product.exec("INSERT INTO ledger VALUES (987654, 'written since, with a tab \t and a \\')");
    product.close();
    const titles: string[] = [];
    const noting: MigrationRequest["run"] = async (steps) => {
      for (const step of steps) {
        titles.push(step.title);
        await step.run(() => undefined);
      }
    };
    await loadMigration({ ...request(), live: true, plan, run: noting });
    expect(titles[0]).toBe("open the journal");
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
  });

  it("goes by the same plan again where it was broken off, or where a VACUUM came between", async () => {
    const plan = sealPlan(await one.plan(), {});
    const stop = new AbortController();
    const breakingOff: MigrationRequest["run"] = async (steps) => {
      for (const step of steps) {
        if (step.title === "copy the rows") stop.abort();
        await step.run(() => undefined);
      }
    };
    const { signal } = stop;
    const by = { ...request(), live: true, plan };
    await expect(loadMigration({ ...by, signal, run: breakingOff })).rejects.toThrow(/abort/i);
    one.sqlite("VACUUM");
    await loadMigration(by);
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
  });

  it("compares a long table in parts, between which the product can begin its WAL anew", async () => {
    const plan = await one.plan();
    const product = new Database(one.path);
    onTestFinished(() => void product.close());
    const resets: unknown[] = [];
    const writing = atNotes(/^ledger: .* rows compared$/, () => {
      const n = resets.length;
      // Some in the parts that were compared, some in those that come; keys go from one to the other.
      product.exec(
        `UPDATE ledger SET body = 'written beside ${n}' WHERE seq % 997 = 0;
             DELETE FROM ledger WHERE seq % 991 = ${n}; UPDATE ledger SET seq = -seq WHERE seq = ${n + 3};
             INSERT INTO ledger VALUES (${5_000_000 + n}, 'at the end'), (${-5_000_000 - n}, 'before all')`,
      );
      resets.push(product.pragma("wal_checkpoint(TRUNCATE)"));
    });
    await loadMigration({ ...request(), live: true, run: writing });
    expect(resets.length).toBeGreaterThan(1);
    expect(resets).toEqual(resets.map(() => [{ busy: 0, log: 0, checkpointed: 0 }]));
    await syncMigration({ ...request(), until: "caught-up" });
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
  });

  it("does not run after a product that adds rows faster than they are compared", async () => {
    const product = new Database(one.path);
    onTestFinished(() => void product.close());
    const { n: before } = product.prepare("SELECT count(*) AS n FROM ledger").get() as {
      n: number;
    };
    const parts: string[] = [];
    await loadMigration({
      ...request(),
      live: true,
      run: atNotes(/^ledger: .* rows compared$/, (note) => {
        if (parts.push(note) > 5) return;
        product.exec(
          "INSERT INTO ledger SELECT (SELECT max(seq) FROM ledger) + row_number() OVER (), 'added' FROM ledger LIMIT 20000",
        );
      }),
    });
    // Those that were there when it began, twenty thousand in each part; then all behind them, and those without a key.
    expect(parts.length).toBeLessThanOrEqual(Math.ceil(before / 20_000) + 2);
    await syncMigration({ ...request(), until: "caught-up" });
    expect(await verifyMigration(request())).toMatchObject({ ok: true, inFlight: 0 });
  });

  it("compares rows that only their rowid tells apart once more where a VACUUM came between two parts", async () => {
    one.sqlite(
      `CREATE TABLE loose(v TEXT); INSERT INTO loose SELECT 'row ' || seq FROM ledger; INSERT INTO loose SELECT v FROM loose;
       DELETE FROM loose WHERE rowid % 3 = 0`,
    );
    const plan = await one.plan();
    const product = new Database(one.path);
    onTestFinished(() => void product.close());
    const notes: string[] = [];
    await loadMigration({
      ...request(),
      live: true,
      run: atNotes(/^loose: .* rows compared$/, (note) => {
        if (notes.push(note) > 1) return;
        product.exec("VACUUM; UPDATE loose SET v = 'written since' WHERE rowid % 1000 = 7");
      }),
    });
    // The first walk went past what had moved to the keys behind it.
    const rows = product.prepare("SELECT count(*) FROM loose").pluck().get();
    expect(notes).toContain("loose: 20000 rows compared");
    expect(notes.at(-1)).toBe(`loose: ${rows} rows compared`);
    await syncMigration({ ...request(), until: "caught-up" });
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
  });

  it("stands still for a product that it slows down, and says for how long, unless it is to go as fast as it can", async () => {
    const loads: LoadReport[] = [];
    for (const pace of ["full", "adaptive"] as const) {
      const writer = await startLiveWriter(one);
      loads.push(await loadMigration({ ...request(), live: true, pace }));
      await writer.stop();
      await abortMigration({ ...request(), dropLoaded: true });
    }
    const [full, adaptive] = loads.map(({ restedSeconds }) => restedSeconds);
    expect(full).toBe(0);
    expect(adaptive).toBeGreaterThanOrEqual(0);
    expect((await one.load()).restedSeconds).toBeUndefined();
  });

  it("is planned in short reads, between which the product can begin its WAL anew", async () => {
    const product = new Database(one.path);
    onTestFinished(() => void product.close());
    const resets: unknown[] = [];
    await planMigration({
      ...request(),
      run: atNotes(/rows read$/, () => {
        product.exec(`INSERT INTO notes VALUES ('beside the profile', NULL)`);
        resets.push(product.pragma("wal_checkpoint(TRUNCATE)"));
      }),
    });
    expect(resets.length).toBeGreaterThan(1);
    expect(resets).toEqual(resets.map(() => [{ busy: 0, log: 0, checkpointed: 0 }]));
  });

  it("is refused by a plan beside which the schema was changed", async () => {
    const product = new Database(one.path);
    onTestFinished(() => void product.close());
    let isChanged = false;
    const plan = await planMigration({
      ...request(),
      run: atNotes(/rows read$/, () => {
        if (isChanged) return;
        isChanged = true;
        product.exec("ALTER TABLE notes ADD COLUMN late TEXT");
      }),
    });
    await expect(
      loadMigration({ ...request(), live: true, plan: sealPlan(plan, {}) }),
    ).rejects.toMatchObject({ code: "SOURCE_CHANGED", kind: "refused" });
  });

  it("is refused by a plan of another schema of SQLite, which it names", async () => {
    const plan = sealPlan(await one.plan(), {});
    const product = new Database(one.path);
    product.exec("CREATE TABLE came_later(a)");
    product.close();
    await expect(loadMigration({ ...request(), live: true, plan })).rejects.toMatchObject({
      code: "SOURCE_CHANGED",
      kind: "refused",
    });
    await one.load();
  });

  it("is refused by a plan that was made for other choices, or that has open errors, and nothing is made", async () => {
    const plan = await one.plan();
    const by = (more: Parameters<typeof loadMigration>[0]) => loadMigration(more);
    const choices = { "notes.body": { type: "text", codec: "tagged" } };
    const reviewed = { ...request(), live: true, plan: sealPlan(plan, {}) };
    await expect(by({ ...reviewed, choices })).rejects.toMatchObject({
      code: "PLAN_OUTDATED",
      kind: "usage",
    });
    const [open] = plan.findings;
    if (!open) throw new Error("the case has a finding");
    const findings = [{ ...open, severity: "error" as const }];
    const unanswered = sealPlan({ ...plan, findings }, {});
    await expect(by({ ...reviewed, plan: unanswered })).rejects.toMatchObject({
      code: "PLAN_HAS_ERRORS",
    });
    const { phase, captured } = await migrationStatus(request());
    expect([phase, captured]).toEqual(["none", false]);
  });

  it("ends though the product writes more at each look than at the one before", async () => {
    const plan = await one.plan();
    const product = new Database(one.path);
    let written = 0;
    const writing: MigrationRequest["run"] = async (steps) => {
      for (const step of steps)
        await step.run(() => {
          written += 1;
          // More than what is few enough for a load to go on.
          product.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
            INSERT INTO ledger SELECT ${written} * 1000 + i, 'while it loads' FROM n`);
        });
    };
    await loadMigration({ ...request(), live: true, run: writing });
    expect(written).toBeGreaterThan(plan.tables.length);
    product.close();
    await syncMigration({ ...request(), until: "caught-up" });
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
  });
});

/** Half of the rows of each table are gone, so a VACUUM may move the others to rowids that a copy has passed already. */
const HOLLOW = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE loose(v TEXT);
  CREATE TABLE words(k TEXT PRIMARY KEY, v TEXT);
  CREATE TABLE large(k TEXT PRIMARY KEY, v TEXT);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
    INSERT INTO words SELECT 'word ' || i, i FROM n;
  INSERT INTO loose SELECT v FROM words;
  INSERT INTO large SELECT k, k || hex(zeroblob(400)) FROM words;
  DELETE FROM words WHERE rowid <= 6000; DELETE FROM loose WHERE rowid <= 6000; DELETE FROM large WHERE rowid <= 6000;`;

type Run = NonNullable<MigrationRequest["run"]>;

it("a load copies every row, though the product vacuums its file meanwhile, and stops where it changes its schema", async () => {
  const cluster = await startCluster();
  onTestFinished(() => cluster.stop());
  const one = await migrationCase(cluster, HOLLOW);
  onTestFinished(() => one.end());
  const product = new Database(one.path);
  onTestFinished(() => void product.close());
  const plan = await one.plan();
  const during = (sql: string, seen = new Set<string>()): Run => {
    return async (steps) => {
      for (const step of steps)
        await step.run(({ note = "" }) => {
          if (step.title !== "copy the rows" || seen.has(note)) return;
          seen.add(note);
          product.exec(sql);
        });
    };
  };
  const request = (run: Run) => ({
    sqlite: { path: one.path },
    postgres: { url: one.url },
    signal: new AbortController().signal,
    live: true,
    run,
  });
  for (const sql of ["CREATE TABLE late(v)", "ALTER TABLE words RENAME TO late"]) {
    const load = loadMigration(request(during(sql, new Set(["loose", "words"]))));
    await expect(load).rejects.toMatchObject({ code: "SOURCE_CHANGED", kind: "refused" });
    await expect(load).rejects.toThrow("while it was loaded; nothing was kept");
    product.exec(sql.startsWith("CREATE") ? "DROP TABLE late" : "ALTER TABLE late RENAME TO words");
  }
  const vacuumed = new Set<string>();
  await loadMigration(request(during("VACUUM", vacuumed)));
  expect([...vacuumed].toSorted()).toEqual(["large", "loose", "words"]);
  expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
});

const KEYED = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE whole(k INTEGER PRIMARY KEY, v TEXT);
  CREATE TABLE fraction(k REAL PRIMARY KEY, v TEXT) WITHOUT ROWID;
  CREATE TABLE word(k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID;
  CREATE TABLE folded(k TEXT COLLATE NOCASE PRIMARY KEY, v TEXT) WITHOUT ROWID;
  CREATE TABLE raw(k BLOB PRIMARY KEY, v TEXT) WITHOUT ROWID;
  CREATE TABLE id(k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID;
  CREATE TABLE moment(k DATETIME PRIMARY KEY, v TEXT) WITHOUT ROWID;
  CREATE TABLE three(a INTEGER, b TEXT, c BLOB, v TEXT, PRIMARY KEY(a, b, c)) WITHOUT ROWID;
  CREATE TABLE flag(k BOOLEAN PRIMARY KEY, v TEXT) WITHOUT ROWID;
  CREATE TABLE mixed(k PRIMARY KEY, v TEXT) WITHOUT ROWID;
  CREATE TABLE rowed(k TEXT PRIMARY KEY, v TEXT);
  INSERT INTO flag VALUES (0, 'old'), (1, 'old');
  INSERT INTO mixed VALUES (7, 'old'), ('seven', 'old');
  INSERT INTO whole VALUES (-9223372036854775808, 'old'), (7, 'old');
  INSERT INTO fraction VALUES (0.1, 'old'), (-1e300, 'old');
  INSERT INTO word VALUES ('a' || char(9) || 'bc' || char(10), 'old'), ('N', 'old'), ('', 'old');
  INSERT INTO folded VALUES ('Bob', 'old'), ('ann', 'old');
  INSERT INTO raw VALUES (x'00ff5c09', 'old'), (x'', 'old');
  INSERT INTO id VALUES ('0f8fad5b-d9cb-469f-a165-70867728950e', 'old');
  INSERT INTO moment VALUES ('2026-01-02T03:04:05.678Z', 'old');
  INSERT INTO three VALUES (1, 'x' || char(9), x'5c', 'old'), (2, '', x'', 'old');`;

describe("a sync", () => {
  it("finds the rows of every table by their keys, whatever these are made of, and goes on where one that Postgres can't hold is gone again", async () => {
    const cluster = await startCluster();
    onTestFinished(() => cluster.stop());
    const one = await migrationCase(cluster, KEYED);
    onTestFinished(() => one.end());
    const request = {
      sqlite: { path: one.path },
      postgres: { url: one.url },
      signal: new AbortController().signal,
    };
    const plan = await one.plan();
    await loadMigration({ ...request, live: true });
    const product = new Database(one.path);
    for (const { name } of plan.tables) product.exec(`UPDATE "${name}" SET v = 'new'`);
    product.exec(
      "DELETE FROM word WHERE k = ''; UPDATE folded SET k = 'BOB' WHERE k = 'bob'; DELETE FROM raw WHERE k = x''",
    );
    const { rows } = await syncMigration({ ...request, until: "caught-up" });
    expect(rows).toBeGreaterThan(10);
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
    const unheld = [
      "word(k) VALUES ('key' || char(0)), (CAST(x'ff' AS TEXT))",
      "folded(k) VALUES ('BOB' || char(0))",
      "id(k) VALUES ('0F8FAD5B-no-uuid')",
      "moment(k) VALUES ('2026-13-02T03:04:05.678Z'), ('0000-01-02T03:04:05.678Z')",
      "flag(k) VALUES (2)",
      "mixed(k) VALUES ('seven' || char(0))",
      "rowed(k) VALUES (NULL)",
    ];
    for (const rows of unheld) {
      product.exec(`INSERT INTO ${rows}`);
      const table = rows.slice(0, rows.indexOf("("));
      await expect(syncMigration({ ...request, until: "caught-up" })).rejects.toMatchObject({
        code: "TARGET_REFUSED_ROWS",
        details: rows.includes("NULL") ? { table, column: "k" } : { table },
      });
      product.exec(`DELETE FROM ${table} WHERE v IS NULL`);
      await syncMigration({ ...request, until: "caught-up" });
    }
    product.close();
    expect((await compareIndependently(one.path, one.url, plan)).differences).toEqual([]);
  });
});
