import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { StepRunner } from "@lifeboat/core";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { noteSchema } from "../../packages/migrate/src/capture/schema-watch.ts";
import { CheckpointWindow } from "../../packages/migrate/src/checkpoint-window.ts";
import { PATIENCE } from "../support/patience.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { atNotes } from "./at-notes.ts";
import { type LiveCase, liveCase, told } from "./live-case.ts";

const WRITER = fileURLToPath(new URL("./live-writer.ts", import.meta.url));

const NUMBERED = `
  CREATE TABLE t(id INTEGER PRIMARY KEY, code TEXT UNIQUE, v INTEGER);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3999)
  INSERT INTO t SELECT i, 'code ' || i, i FROM n;`;

let cluster: TestCluster;
let one: LiveCase;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());
afterEach(() => one.end());

/** Lets a product write in its own process, and a sync follow it, while `work` goes on. */
async function underWrites<Result>(work: () => Promise<Result>): Promise<Result> {
  const child = spawn(process.execPath, [WRITER, "--database", one.path], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let isOver = false;
  await once(child.stdout, "data");
  const follow = async () => {
    while (!isOver) await one.bring();
  };
  const following = follow();
  try {
    return await Promise.race([work(), following.then(() => Promise.reject(new Error("ended")))]);
  } finally {
    isOver = true;
    await following;
    const exited = once(child, "exit");
    child.stdin.end();
    expect(await exited).toEqual([0, null]);
  }
}

const patience = { total: PATIENCE.timeout, idle: PATIENCE.timeout };

const writesOf = (path: string) => {
  const db = new Database(path, { readonly: true });
  const last = db.prepare("SELECT max(seq) FROM lifeboat_log").pluck().get() as number | null;
  db.close();
  return last ?? 0;
};

describe("verify while the product writes and a sync follows", () => {
  it("finds nothing where nothing differs, at every one of many runs", async () => {
    one = await liveCase(cluster, NUMBERED);
    await underWrites(async () => {
      for (let run = 0; run < 6; run++) {
        const before = writesOf(one.path);
        const report = await one.verifyLive({ patience });
        expect(report.findings).toEqual([]);
        expect(report).toMatchObject({ ok: true, inFlight: 0 });
        expect(writesOf(one.path)).toBeGreaterThan(before);
      }
    });
  });

  it("tells what would end the way back or the following, of which the rows say nothing", async () => {
    one = await liveCase(cluster, `${NUMBERED} CREATE TABLE loose(v)`);
    await one.keepRowids();
    const found = async () => {
      const { findings } = await one.verifyLive();
      return findings.map(({ id, severity, table, column }) => [id, severity, table, column]);
    };
    await one.query(
      `CREATE TABLE public.came(v int); ALTER TABLE public.t ADD more text, ADD twice bigint GENERATED ALWAYS AS (v * 2) STORED`,
    );
    expect(await found()).toEqual([
      ["table-not-in-sqlite", "warning", "came", null],
      ["column-not-in-sqlite", "warning", "t", "more"],
    ]);
    await one.query("DROP TABLE public.came; ALTER TABLE public.t DROP more, DROP twice");
    one.product.exec("CREATE INDEX t_v ON t(v)");
    expect(await found()).toEqual([["source-changed", "warning", null, null]]);
    one.product.exec("DROP TRIGGER lifeboat_capture_1_delete");
    const table = one.migrated.tables[1]?.name;
    expect(await found()).toEqual([["capture-missing", "error", table, null]]);
  });

  it("tells which table takes the product's writes although they are refused since a switch that failed", async () => {
    one = await liveCase(cluster, `${NUMBERED} CREATE TABLE loose(v)`);
    await one.query(
      `UPDATE lifeboat.migrations SET details = (details::jsonb || '{"targetRefused": true}')::json;
       CREATE FUNCTION lifeboat.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE TRIGGER lifeboat_refuse BEFORE INSERT ON public.t EXECUTE FUNCTION lifeboat.refuse();
       CREATE TRIGGER lifeboat_refuse BEFORE INSERT ON public.loose EXECUTE FUNCTION lifeboat.refuse();
       ALTER TABLE public.t ENABLE ALWAYS TRIGGER lifeboat_refuse; ALTER TABLE public.loose DISABLE TRIGGER lifeboat_refuse`,
    );
    const report = await one.verifyLive();
    expect(report.ok).toBe(false);
    expect(told(report)).toMatchObject([
      { id: "refusal-missing", severity: "error", table: "loose" },
    ]);
    await one.query("ALTER TABLE public.loose ENABLE ALWAYS TRIGGER lifeboat_refuse");
    expect((await one.verifyLive()).findings).toEqual([]);
  });

  it("names a row that was changed by hand on either side", async () => {
    one = await liveCase(cluster, NUMBERED);
    await one.query("UPDATE public.t SET v = -1 WHERE id = 17; DELETE FROM public.t WHERE id = 18");
    one.unlogged("UPDATE t SET code = 'other' WHERE id = 19; INSERT INTO t VALUES (-5, NULL, 1)");
    await underWrites(async () => {
      const report = await one.verifyLive({ patience });
      expect(report.ok).toBe(false);
      expect(report.tables).toMatchObject([{ name: "t", equal: false, differing: 4 }]);
      expect(new Set(report.tables[0]?.differences)).toEqual(
        new Set([
          { key: "17", kind: "different", columns: ["v"] },
          { key: "18", kind: "missing-in-postgres", columns: [] },
          { key: "19", kind: "different", columns: ["code"] },
          { key: "-5", kind: "missing-in-postgres", columns: [] },
        ]),
      );
    });
  });

  it("holds no snapshot of SQLite between two chunks, so its WAL can be reset", async () => {
    one = await liveCase(cluster, NUMBERED);
    one.product.exec("UPDATE t SET v = v + 1");
    const busy: unknown[] = [];
    const resetting: StepRunner = async (steps) => {
      for (const step of steps)
        await step.run(() => {
          busy.push(one.product.pragma("wal_checkpoint(TRUNCATE)", { simple: true }));
        });
    };
    expect((await one.verifyLive({ run: resetting })).ok).toBe(true);
    expect(new Set(busy)).toEqual(new Set([0n]));
  });

  it("begins each chunk only where the product's checkpoints have had their turn", async () => {
    one = await liveCase(cluster, NUMBERED);
    const calls: string[] = [];
    using _ = vi.spyOn(CheckpointWindow.prototype, "await").mockImplementation(() => {
      calls.push(
        one.product.pragma("wal_checkpoint(TRUNCATE)", { simple: true }) ? "busy" : "free",
      );
    });
    const { tables } = await one.verifyLive();
    expect(tables).toMatchObject([{ name: "t", equal: true }]);
    expect(calls.length).toBeGreaterThan(0);
    expect(calls).not.toContain("busy");
  });

  it("ends with NOT_LOADED where the migration goes on to another phase meanwhile", async () => {
    one = await liveCase(cluster, NUMBERED);
    const moving: StepRunner = async (steps) => {
      for (const step of steps) {
        await one.query("UPDATE lifeboat.migrations SET phase = 'cutting-over'");
        await step.run(() => undefined);
      }
    };
    await expect(one.verifyLive({ run: moving })).rejects.toMatchObject({
      code: "NOT_LOADED",
      message: expect.stringContaining("cutting-over"),
    });
    await one.query("UPDATE lifeboat.migrations SET phase = 'rolled-back'");
    await expect(one.verifyLive()).rejects.toMatchObject({
      code: "NOT_LOADED",
      message: expect.stringContaining("rolled-back"),
    });
  });
});

describe("verify of rows in flight", () => {
  it("counts and names them as information where no sync brings them", async () => {
    one = await liveCase(cluster, NUMBERED);
    one.product.exec(
      "UPDATE t SET v = -1 WHERE id IN (7, 8); DELETE FROM t WHERE id = 9; INSERT INTO t VALUES (5000, 'new', 1)",
    );
    const report = await one.verifyLive();
    expect(report).toMatchObject({ ok: true, inFlight: 4, tables: [{ equal: true, inFlight: 4 }] });
    expect(told(report)).toEqual([
      {
        id: "rows-in-flight",
        severity: "info",
        table: "t",
        count: 4,
        sample: expect.arrayContaining(["7", "8", "9", "5000"]),
      },
    ]);
    await one.bring();
    expect(await one.verifyLive()).toMatchObject({ ok: true, findings: [], inFlight: 0 });
  });

  it("holds not too many of their keys at a time, and finds what differs beside them", async () => {
    one = await liveCase(
      cluster,
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 61000) INSERT INTO t SELECT i, i FROM n`,
    );
    one.product.exec("DELETE FROM t WHERE id BETWEEN 251 AND 60750");
    one.unlogged("UPDATE t SET v = -1 WHERE id = 60900");
    const parts = new Set<string>();
    const report = await one.verifyLive({
      run: atNotes(/rows compared$/, (note) => parts.add(note)),
    });
    // Of five hundred rows SQLite alone would make one part.
    expect(parts).toEqual(new Set(["t: 250 rows compared", "t: 500 rows compared"]));
    expect(report).toMatchObject({
      inFlight: 60_500,
      tables: [
        { differing: 1, differences: [{ key: "60900", kind: "different", columns: ["v"] }] },
      ],
    });
  });

  it("tells a row that differs as soon as the log no longer excuses it", async () => {
    one = await liveCase(cluster, NUMBERED);
    await one.query("UPDATE public.t SET v = -1 WHERE id = 7");
    one.product.exec("UPDATE t SET v = v WHERE id IN (7, 8)");
    expect(told(await one.verifyLive())).toMatchObject([
      { id: "rows-in-flight", count: 1, sample: ["7"] },
    ]);
    // A sync that says it brought the row, and did not.
    await one.query(`UPDATE lifeboat.migrations SET details = '{"watermark": "1000"}'`);
    const report = await one.verifyLive();
    expect(report.ok).toBe(false);
    expect(told(report)).toMatchObject([{ id: "rows-differ", sample: ["7 (different)"] }]);
  });

  it("proves nothing by a log that was emptied beyond what its snapshot of Postgres held", async () => {
    one = await liveCase(cluster, NUMBERED);
    one.product.exec("UPDATE t SET v = -1 WHERE id < 10; UPDATE t SET v = -2 WHERE id = 100");
    one.product.exec("DELETE FROM lifeboat_log WHERE seq < (SELECT max(seq) FROM lifeboat_log)");
    // That it stays so is told as well: no sync brings what Postgres has lost.
    expect(told(await one.verifyLive())).toMatchObject([
      { id: "postgres-set-back" },
      { id: "rows-in-flight", count: 10 },
    ]);
  });

  it("waits until a sync has brought them", async () => {
    one = await liveCase(cluster, NUMBERED);
    one.product.exec("UPDATE t SET v = -1 WHERE id < 100");
    let looks = 0;
    const bringing = atNotes(/^waiting/, () => {
      if (looks++ === 0) void one.bring();
    });
    expect(await one.verifyLive({ run: bringing, patience })).toMatchObject({
      ok: true,
      findings: [],
    });
    expect(looks).toBe(1);
  });

  it("takes no rowids for proof that a VACUUM gave anew, and a sync brought, since Postgres was looked at", async () => {
    one = await liveCase(
      cluster,
      `CREATE TABLE loose(v);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO loose SELECT i FROM n`,
    );
    await one.keepRowids();
    one.product.exec("DELETE FROM loose WHERE rowid % 3 = 0");
    await one.bring();
    const awaited = vi.spyOn(CheckpointWindow.prototype, "await").mockImplementationOnce(() => {
      one.product.exec("VACUUM");
      noteSchema(one.product);
    });
    onTestFinished(() => awaited.mockRestore());
    // What the sync had brought by then: the snapshot of the first look is older.
    const sync = `UPDATE public.loose SET lifeboat_rowid = n FROM
        (SELECT ctid AS place, row_number() OVER (ORDER BY lifeboat_rowid) AS n FROM public.loose) AS o WHERE loose.ctid = place`;
    const run: StepRunner = async (steps) => {
      for (const step of steps) {
        await step.run(() => undefined);
        if (step.title === "compare every value") await one.query(sync);
      }
    };
    expect(await one.verifyLive({ run })).toMatchObject({ ok: true, findings: [], inFlight: 0 });
  });

  it("keeps of very many only some, and compares the table again once those are there", async () => {
    one = await liveCase(
      cluster,
      `CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) INSERT INTO t SELECT i, i FROM n`,
    );
    one.product.exec("UPDATE t SET v = v + 1");
    expect(await one.verifyLive()).toMatchObject({ ok: true, inFlight: 12_000 });
    // A sync that forgets one, which was not among those that were kept.
    const sync = `UPDATE public.t SET v = v + 1 WHERE id <> 11999;
      UPDATE lifeboat.migrations SET details = '{"watermark": "24000"}'`;
    let looks = 0;
    const bringing = atNotes(/^waiting/, () => {
      if (looks++ === 0) void one.query(sync);
    });
    const report = await one.verifyLive({ run: bringing, patience });
    expect(told(report)).toMatchObject([{ id: "rows-differ", sample: ["11999 (different)"] }]);
    expect(report.inFlight).toBe(0);
  });

  it("tells keys apart by class, case and byte, whatever their collation", async () => {
    one = await liveCase(
      cluster,
      `CREATE TABLE n(name TEXT COLLATE NOCASE PRIMARY KEY, v INTEGER);
       INSERT INTO n VALUES ('Bob', 1), ('alice', 2), ('carol', 3);
       CREATE TABLE pair(a TEXT, b INTEGER, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
       INSERT INTO pair VALUES ('x,y', 1, 'a'), ('x', 2, 'b'), ('ü', 3, 'c');
       CREATE TABLE bare(k BLOB PRIMARY KEY, v INTEGER); INSERT INTO bare VALUES ('1', 1), ('2', 2);`,
    );
    await one.query("UPDATE public.n SET v = 9 WHERE name = 'alice'");
    await one.query("UPDATE public.pair SET v = 'z' WHERE a = 'ü'");
    // What is written in flight: another spelling, another class, a key that is no UTF-8.
    one.product.exec("UPDATE n SET name = 'BOB' WHERE name = 'bob'");
    one.product.exec("UPDATE pair SET v = 'new' WHERE a = 'x,y'; INSERT INTO bare VALUES (1, 3)");
    one.product.exec("INSERT INTO n VALUES (CAST(x'ff61' AS TEXT), 1), (CAST(x'fe61' AS TEXT), 2)");
    const report = await one.verifyLive();
    expect(
      report.tables.map(({ name, differences, inFlight }) => [name, differences, inFlight]),
    ).toEqual([
      ["n", [{ key: "alice", kind: "different", columns: ["v"] }], 4],
      ["pair", [{ key: "ü, 3", kind: "different", columns: ["v"] }], 1],
      ["bare", [], 1],
    ]);
  });

  it("compares rows by the rowid where Postgres keeps it, and else at a moment without any in flight", async () => {
    one = await liveCase(
      cluster,
      "CREATE TABLE loose(v TEXT); INSERT INTO loose VALUES ('a'), ('b'), ('b'), ('c')",
    );
    one.product.exec("INSERT INTO loose VALUES ('d')");
    const untold = await one.verifyLive();
    expect(untold).toMatchObject({ ok: true, tables: [{ equal: false, inFlight: 1 }] });
    expect(told(untold)).toMatchObject([{ id: "table-in-flight", severity: "warning", count: 1 }]);
    one.product.exec("DELETE FROM loose WHERE v = 'd'; DELETE FROM lifeboat_log");
    await one.query("UPDATE public.loose SET v = 'other' WHERE v = 'c'");
    expect(told(await one.verifyLive())).toMatchObject([{ id: "rows-differ", count: 2 }]);

    await one.keepRowids();
    one.product.exec("UPDATE loose SET v = 'x' WHERE rowid = 1");
    expect(told(await one.verifyLive())).toMatchObject([
      { id: "rows-differ", sample: ["4 (different)"] },
      { id: "rows-in-flight", sample: ["1"] },
    ]);
    // VACUUM gives rowids anew: what is logged by them means nothing until the table is brought over again.
    one.product.exec("DELETE FROM loose WHERE rowid = 2; VACUUM");
    const renumbered = await one.verifyLive();
    expect(told(renumbered)).toMatchObject([{ id: "rows-in-flight", severity: "info" }]);
  });

  it("goes on where keys in flight are none that Postgres can read", async () => {
    one = await liveCase(
      cluster,
      `CREATE TABLE u(id TEXT PRIMARY KEY, v INT); INSERT INTO u VALUES ('00000000-0000-4000-8000-000000000001', 1);
       CREATE TABLE n(k INT PRIMARY KEY); INSERT INTO n VALUES (1), (2)`,
    );
    expect(one.migrated.tables.map(({ columns }) => columns[0]?.type)).toEqual(["uuid", "bigint"]);
    one.product.exec("INSERT INTO u VALUES ('nonsense', 1); UPDATE u SET v = 2 WHERE v = 1");
    // More than one chunk of them, so that one of them would be its end.
    const many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)";
    one.unlogged(`INSERT INTO n ${many} SELECT 'key ' || i FROM n`);
    expect(told(await one.verifyLive())).toMatchObject([
      { id: "rows-in-flight", table: "u", count: 2 },
      { id: "rows-differ", table: "n", count: 25_000 },
    ]);
    // The log of another migration excuses nothing.
    one.product.exec("UPDATE lifeboat_state SET migration = 'other'");
    expect(told(await one.verifyLive())).toMatchObject([
      { id: "rows-differ", table: "u", count: 2 },
      { id: "rows-differ", table: "n", count: 25_000 },
    ]);
  });

  it("names a NULL in a key, which Postgres can't hold", async () => {
    one = await liveCase(cluster, "CREATE TABLE k(a TEXT PRIMARY KEY); INSERT INTO k VALUES ('x')");
    one.unlogged("INSERT INTO k VALUES (NULL)");
    expect(told(await one.verifyLive())).toMatchObject([{ id: "rows-differ", count: 1 }]);
  });

  it("compares a large table by a text key that Postgres sorts in another order", async () => {
    one = await liveCase(
      cluster,
      `CREATE TABLE t(k TEXT PRIMARY KEY, v INT);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001)
       INSERT INTO t SELECT CASE i % 2 WHEN 1 THEN 'Key ' ELSE 'key ' END || i, i FROM n`,
    );
    one.product.exec("UPDATE t SET v = -1 WHERE k = 'Key 5'");
    await one.query("UPDATE public.t SET v = 7 WHERE k = 'key 77776'");
    expect(told(await one.verifyLive())).toMatchObject([
      { id: "rows-differ", sample: ["key 77776 (different)"] },
      { id: "rows-in-flight", sample: ["Key 5"] },
    ]);
  });
});

describe("verify of foreign keys", () => {
  const FAMILY = `
    CREATE TABLE parent(id INTEGER PRIMARY KEY, v TEXT);
    CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id));
    INSERT INTO parent VALUES (1, 'a'), (2, 'b'); INSERT INTO child VALUES (10, 1), (11, 2), (12, NULL)`;
  const asReplica = (sql: string) =>
    cluster.query(`SET session_replication_role = replica; ${sql}`, one.url.replace(/.*\//, ""));

  it("names rows without a parent, which a sync brings as SQLite holds them", async () => {
    one = await liveCase(cluster, FAMILY);
    one.unlogged("DELETE FROM parent WHERE id = 2");
    await asReplica("DELETE FROM public.parent WHERE id = 2");
    const report = await one.verifyLive();
    expect(report.ok).toBe(false);
    expect(told(report)).toEqual([
      { id: "foreign-key-broken", severity: "error", table: "child", count: 1, sample: ["11"] },
    ]);
  });

  it("leaves those alone that are in flight, or whose parents are", async () => {
    one = await liveCase(cluster, FAMILY);
    await asReplica("INSERT INTO public.child VALUES (13, 3)");
    one.product.exec("INSERT INTO parent VALUES (3, 'c'); INSERT INTO child VALUES (13, 3)");
    const report = await one.verifyLive();
    expect(report.ok).toBe(true);
    expect(told(report)).toMatchObject([
      { id: "rows-in-flight", table: "parent" },
      { id: "foreign-key-in-flight", severity: "info", table: "child", count: 1 },
    ]);
  });
});

describe("the result of a verification", () => {
  const verifiedAt = async () => {
    const [row] = await one.query<{ at: string | null }>(
      "SELECT details->>'verifiedAt' AS at FROM lifeboat.migrations",
    );
    return row?.at ?? null;
  };

  it("stands in the journal, and goes from there when the sides differ", async () => {
    one = await liveCase(cluster, NUMBERED);
    await one.query(`UPDATE lifeboat.migrations SET details = '{"watermark": "0"}'`);
    const first = await one.verifyLive();
    expect(first.verifiedAt).toMatch(/^\d{4}-.*Z$/);
    expect(await verifiedAt()).toBe(first.verifiedAt);
    await one.query("UPDATE public.t SET v = -1 WHERE id = 1");
    expect(await one.verifyLive()).toMatchObject({ ok: false, verifiedAt: null });
    expect(await verifiedAt()).toBe(null);
    expect(await one.query("SELECT details FROM lifeboat.migrations")).toEqual([
      { details: { watermark: "0" } },
    ]);
  });

  it("is an error where the role may not write it there", async () => {
    one = await liveCase(cluster, NUMBERED);
    const database = one.url.replace(/.*\//, "");
    await cluster.query(
      `CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA public, lifeboat TO reader;
       GRANT SELECT ON ALL TABLES IN SCHEMA public, lifeboat TO reader; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader`,
      database,
    );
    const url = one.url.replace(/\/\/[^@]*@/, "//reader:reader@");
    const report = await one.verifyLive({ postgres: { url } });
    expect(report).toMatchObject({ ok: false, verifiedAt: null, tables: [{ equal: true }] });
    expect(told(report)).toMatchObject([{ id: "verification-not-recorded", severity: "error" }]);
    await cluster.query("DROP OWNED BY reader; DROP ROLE reader", database);
  });
});
