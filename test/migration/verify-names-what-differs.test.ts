import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

describe("verify after a load", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeAll(async () => {
    cluster = await startCluster();
    one = await migrationCase(
      cluster,
      `CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, r REAL, b BLOB, ok BOOLEAN, at DATETIME);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
       INSERT INTO t SELECT i, 'name ' || i, i / 7.0, randomblob(3), i % 2, datetime(i * 1000, 'unixepoch') FROM n;
       CREATE INDEX t_r ON t(r);
       CREATE TABLE kv(ns TEXT, k INT, v TEXT, PRIMARY KEY (ns, k)) WITHOUT ROWID;
       INSERT INTO kv SELECT 'ns' || (id % 3), id, name FROM t WHERE id < 100;
       CREATE TABLE old(id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO old VALUES (1, '0044-03-15 12:00:00'), (2, NULL);
       CREATE TABLE loose(v TEXT); INSERT INTO loose VALUES ('a'), ('b'), ('b'), (NULL);
       CREATE TABLE mixed(id INTEGER PRIMARY KEY, v); INSERT INTO mixed VALUES (1, 5), (2, 'x');
       CREATE TABLE long(id TEXT PRIMARY KEY, body TEXT);
       INSERT INTO long VALUES ('p', replace(hex(zeroblob(9000)), '00', 'xy')), ('q', 'short')`,
    );
    await one.loadFaithfully();
  });
  afterAll(async () => {
    await one.end();
    await cluster.stop();
  });
  beforeEach(async () => {
    expect((await one.verify()).ok).toBe(true);
  });

  const found = async () => {
    const report = await one.verify();
    expect(report.ok).toBe(false);
    return report.findings.map(({ id, table, column, count, sample }) => ({
      id,
      table,
      column,
      count,
      sample,
    }));
  };

  it.each([
    [
      "an instant before our era",
      "old",
      "at",
      "1",
      "UPDATE public.old SET at = '0044-03-15 12:00:00 BC' WHERE id = 1",
      "UPDATE public.old SET at = '0044-03-15 12:00:00' WHERE id = 1",
    ],
    [
      "infinity in place of NULL",
      "old",
      "at",
      "2",
      "UPDATE public.old SET at = 'infinity' WHERE id = 2",
      "UPDATE public.old SET at = NULL WHERE id = 2",
    ],
    [
      "a real by one bit",
      "t",
      "r",
      "29999",
      "UPDATE public.t SET r = r + 1e-12 WHERE id = 29999",
      "UPDATE public.t SET r = 29999 / 7.0::float8 WHERE id = 29999",
    ],
    [
      "a text",
      "t",
      "name",
      "7",
      "UPDATE public.t SET name = 'other' WHERE id = 7",
      "UPDATE public.t SET name = 'name 7' WHERE id = 7",
    ],
    [
      "a value to NULL",
      "t",
      "ok",
      "20001",
      "UPDATE public.t SET ok = NULL WHERE id = 20001",
      "UPDATE public.t SET ok = true WHERE id = 20001",
    ],
    [
      "an instant",
      "t",
      "at",
      "1",
      "UPDATE public.t SET at = at + '1s' WHERE id = 1",
      "UPDATE public.t SET at = at - '1s'::interval WHERE id = 1",
    ],
    [
      "a text under a compound key",
      "kv",
      "v",
      "ns1, 40",
      "UPDATE public.kv SET v = '' WHERE k = 40",
      "UPDATE public.kv SET v = 'name 40' WHERE k = 40",
    ],
    [
      "the end of a long text",
      "long",
      "body",
      "p",
      "UPDATE public.long SET body = left(body, -1) || 'z' WHERE id = 'p'",
      "UPDATE public.long SET body = left(body, -1) || 'y' WHERE id = 'p'",
    ],
  ])(
    "names the key and column of %s changed in Postgres",
    async (_, table, column, key, change, undo) => {
      await one.query(change);
      expect(await found()).toEqual([
        { id: "rows-differ", table, column, count: 1, sample: [`${key} (different)`] },
      ]);
      await one.query(undo);
    },
  );

  it("names what was changed, added and taken away in SQLite", async () => {
    one.sqlite(
      "UPDATE t SET b = CAST(x'00' || b AS BLOB) WHERE id = 12345; INSERT INTO t(id) VALUES (99999); UPDATE kv SET k = 1000 WHERE k = 5",
    );
    expect(await found()).toEqual([
      {
        id: "rows-differ",
        table: "t",
        column: "b",
        count: 2,
        sample: ["12345 (different)", "99999 (missing-in-postgres)"],
      },
      {
        id: "rows-differ",
        table: "kv",
        column: null,
        count: 2,
        sample: ["ns2, 5 (missing-in-sqlite)", "ns2, 1000 (missing-in-postgres)"],
      },
    ]);
    one.sqlite(
      "UPDATE t SET b = substr(b, 2) WHERE id = 12345; DELETE FROM t WHERE id = 99999; UPDATE kv SET k = 5 WHERE k = 1000",
    );
  });

  it("names rows of a large table whose key Postgres sorts in another order", async () => {
    const large = await migrationCase(
      cluster,
      `CREATE TABLE t(k TEXT PRIMARY KEY, v INT);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001)
       INSERT INTO t SELECT 'Key ' || i, i FROM n`,
    );
    await large.load();
    large.sqlite("UPDATE t SET v = -1 WHERE k = 'Key 5'; DELETE FROM t WHERE k = 'Key 77777'");
    const [table] = (await large.verify()).tables;
    expect(table?.differing).toBe(2);
    expect(new Set(table?.differences)).toEqual(
      new Set([
        { key: "Key 5", kind: "different", columns: ["v"] },
        { key: "Key 77777", kind: "missing-in-sqlite", columns: [] },
      ]),
    );
    await large.end();
  });

  it("names rows of a table whose keys are no UTF-8, and no other", async () => {
    const files = await migrationCase(
      cluster,
      `CREATE TABLE files(path TEXT PRIMARY KEY, size INT); CREATE TABLE folded(path TEXT COLLATE NOCASE PRIMARY KEY, size INT);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 45000)
       INSERT INTO files SELECT CAST(CAST('caf' AS BLOB) || unhex(printf('%02x%02x%02x', 128 + i / 16384, 128 + i / 128 % 128, 128 + i % 128)) AS TEXT), i FROM n;
       INSERT INTO folded SELECT iif(size % 2, 'a', 'B') || path, size FROM files`,
    );
    const bytes = { type: "bytea", codec: "text-bytes" };
    files.choices = { "files.path": bytes, "folded.path": { ...bytes, constraint: "skip" } };
    await files.loadFaithfully();
    expect(await files.verify()).toMatchObject({ ok: true, rows: 90_000 });
    await files.query(
      "UPDATE files SET size = 0 WHERE size = 20000; UPDATE folded SET size = 0 WHERE size = 7",
    );
    const { findings } = await files.verify();
    expect(findings.map(({ table, count, column }) => [table, count, column])).toEqual([
      ["files", 1, "size"],
      ["folded", 1, "size"],
    ]);
    await files.end();
  });

  it("counts rows that no key tells apart", async () => {
    await one.query(
      "DELETE FROM public.loose WHERE ctid = (SELECT max(ctid) FROM public.loose WHERE v = 'b')",
    );
    expect(await found()).toEqual([
      {
        id: "rows-differ",
        table: "loose",
        column: null,
        count: 1,
        sample: ["rowid 2 (missing-in-postgres)"],
      },
    ]);
    await one.query("INSERT INTO public.loose VALUES ('b'), ('only there')");
    expect(await found()).toMatchObject([
      { id: "rows-differ", count: 1, sample: [expect.stringMatching(/^ctid .*missing-in-sqlite/)] },
    ]);
    await one.query("DELETE FROM public.loose WHERE v = 'only there'");
  });

  it("names a value whose class no plan has seen", async () => {
    one.sqlite("UPDATE t SET at = 5 WHERE id = 3");
    expect(await found()).toMatchObject([{ table: "t", column: "at", sample: ["3 (different)"] }]);
    one.sqlite("UPDATE t SET at = datetime(3000, 'unixepoch') WHERE id = 3");
  });

  it("names a number that has become the text which spells it, among texts", async () => {
    one.sqlite("UPDATE mixed SET v = '5' WHERE id = 1");
    expect((await one.verify()).findings).toMatchObject([
      {
        ...{ table: "mixed", column: "v", sample: ["1 (different)"] },
        summary: "1 rows of mixed differ in v (SQLite 2, Postgres 2)",
      },
    ]);
    one.sqlite("UPDATE mixed SET v = 5 WHERE id = 1");
  });

  it("names a table that came after the load", async () => {
    one.sqlite("CREATE TABLE late(x)");
    expect(await found()).toMatchObject([{ id: "table-not-loaded", table: "late" }]);
    one.sqlite("DROP TABLE late");
  });

  it("warns where the product's own schema for drizzle is not what was loaded", async () => {
    const column = (name: string, type: string) => ({ name, type, notNull: false });
    one.declared = {
      sqlite: [{ name: "loose", columns: [column("v", "integer")] }],
      postgres: [{ name: "loose", columns: [column("v", "text"), column("late", "uuid")] }],
    };
    const { ok, findings } = await one.verify();
    delete one.declared;
    expect(ok).toBe(true);
    const drifts = findings.filter(({ table }) => table === "loose");
    expect(drifts.map(({ id, severity, summary }) => [id, severity, summary])).toEqual([
      ["drift-sqlite", "warning", "SQLite schema: loose.v is declared integer and is TEXT"],
      ["drift-postgres", "warning", "Postgres schema: loose.late is declared and not there"],
    ]);
  });

  it("names an index that is there and not valid", async () => {
    const database = new URL(one.url).pathname.slice(1);
    const set = (valid: boolean) =>
      cluster.query(
        `UPDATE pg_index SET indisvalid = ${valid} WHERE indexrelid = 'public.t_r'::regclass`,
        database,
      );
    await set(false);
    expect(await found()).toMatchObject([{ id: "index-differs", table: "t", column: "t_r" }]);
    await set(true);
  });

  it("names constraints, indexes and sequences that are not as planned", async () => {
    await one.query(
      `DROP INDEX public.t_r; ALTER TABLE public.t DROP CONSTRAINT t_name_key;
       SELECT setval(pg_get_serial_sequence('public.t', 'id'), 5)`,
    );
    expect((await found()).map(({ id, column }) => `${id} ${column}`)).toEqual([
      "constraint-differs t_name_key",
      "index-differs t_r",
      "sequence-differs id",
    ]);
    await one.query(
      `CREATE INDEX t_r ON public.t(r); ALTER TABLE public.t ADD CONSTRAINT t_name_key UNIQUE (name);
       SELECT setval(pg_get_serial_sequence('public.t', 'id'), 30000)`,
    );
  });
});
