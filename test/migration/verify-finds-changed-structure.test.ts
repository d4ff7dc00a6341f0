import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

describe("verify names what was changed after the load", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  beforeAll(async () => {
    cluster = await startCluster();
    one = await migrationCase(
      cluster,
      `CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, v, n NUMERIC, word TEXT NOT NULL DEFAULT 'x',
         at DATETIME, clock TIME, seconds INTEGER, millis INTEGER, CHECK (n < 1000));
       INSERT INTO p VALUES (1, 5, 12.34, 'a', '2024-01-01 00:00:00', '10:00:00', 1700000000, 1700000000123),
         (2, 't', 7, 'b', '2024-01-01 00:00:01', '10:00:01', 1700000001, 1700000001123);
       CREATE TABLE c(id INTEGER PRIMARY KEY, p INT REFERENCES p(id), k INT);
       INSERT INTO c VALUES (1, 1, 1);
       CREATE INDEX c_k ON c(k);
       CREATE TABLE loose(v); CREATE TABLE scratch(v); CREATE TABLE made(id INTEGER PRIMARY KEY, k INT, twice INT AS (k * 2));
       CREATE VIEW ids AS SELECT id FROM c`,
    );
    one.choices = {
      scratch: { table: "skip" },
      "p.seconds": { type: "timestamptz", codec: "epoch-s" },
      "p.millis": { type: "timestamptz", codec: "epoch-ms" },
    };
    await one.loadFaithfully();
  });
  afterAll(async () => {
    await one.end();
    await cluster.stop();
  });

  const faults = async () =>
    (await one.verify()).findings
      .filter((finding) => finding.severity === "error")
      .map(({ id, table, column }) => [id, table, column]);

  it.each([
    ["v", "UPDATE p SET v = '5' WHERE id = 1", "UPDATE p SET v = 5 WHERE id = 1"],
    ["v", "UPDATE p SET v = 5.0 WHERE id = 1", "UPDATE p SET v = 5 WHERE id = 1"],
    ["v", "UPDATE p SET v = x'74' WHERE id = 2", "UPDATE p SET v = 't' WHERE id = 2"],
  ])("a value of SQLite, in %s, that became another class: %s", async (column, change, back) => {
    one.sqlite(change);
    expect(await faults()).toEqual([["rows-differ", "p", column]]);
    one.sqlite(back);
    expect(await faults()).toEqual([]);
  });

  it.each(["at", "clock", "seconds", "millis"])("one microsecond of %s", async (column) => {
    const move = (by: string) =>
      one.query(`UPDATE public.p SET ${column} = ${column} + interval '${by}' WHERE id = 1`);
    await move("1 microsecond");
    expect(await faults()).toEqual([["rows-differ", "p", column]]);
    await move("-1 microsecond");
    expect(await faults()).toEqual([]);
  });

  it("a decimal that no double of SQLite can be", async () => {
    await one.query("UPDATE public.p SET n = 12.3400000000000000001 WHERE id = 1");
    expect(await faults()).toEqual([["rows-differ", "p", "n"]]);
    await one.query("UPDATE public.p SET n = 12.34 WHERE id = 1");
    expect(await faults()).toEqual([]);
  });

  it("nothing of tables that were left out, and of columns that are calculated", async () => {
    one.sqlite(
      "INSERT INTO scratch VALUES (1); ALTER TABLE scratch ADD COLUMN late; ALTER TABLE c ADD COLUMN late INT AS (k + 1)",
    );
    expect(await faults()).toEqual([]);
    one.sqlite("ALTER TABLE c DROP COLUMN late");
  });

  it("columns and ids that came to SQLite since", async () => {
    one.sqlite("ALTER TABLE c ADD COLUMN late DEFAULT 5");
    one.sqlite("UPDATE sqlite_sequence SET seq = 500 WHERE name = 'p'");
    expect(await faults()).toEqual([
      ["column-not-loaded", "c", "late"],
      ["sequence-differs", "p", "id"],
    ]);
    one.sqlite("ALTER TABLE c DROP COLUMN late");
    one.sqlite("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'p'");
    expect(await faults()).toEqual([]);
  });

  // Rolled forward one after the other: each fault is undone by its second statement.
  it.each([
    ["column-differs", "p", "word", "ALTER word DROP DEFAULT", "ALTER word SET DEFAULT 'x'"],
    ["column-differs", "p", "word", "ALTER word SET DEFAULT 'y'", "ALTER word SET DEFAULT 'x'"],
    ["column-differs", "p", "word", "ALTER word DROP NOT NULL", "ALTER word SET NOT NULL"],
    ["column-differs", "p", "word", "ALTER word TYPE varchar(9)", "ALTER word TYPE text"],
    ["column-differs", "c", "id", "ALTER id SET INCREMENT -1", "ALTER id SET INCREMENT 1"],
    ["column-differs", "c", "id", "ALTER id SET MAXVALUE 9", "ALTER id SET NO MAXVALUE"],
    [
      "constraint-differs",
      "c",
      "c_p_fkey",
      "DROP CONSTRAINT c_p_fkey, ADD CONSTRAINT c_p_fkey FOREIGN KEY (p) REFERENCES public.p (id) ON DELETE CASCADE",
      "DROP CONSTRAINT c_p_fkey, ADD CONSTRAINT c_p_fkey FOREIGN KEY (p) REFERENCES public.p (id)",
    ],
    [
      "constraint-differs",
      "c",
      "c_p_fkey",
      "DROP CONSTRAINT c_p_fkey, ADD CONSTRAINT c_p_fkey FOREIGN KEY (p) REFERENCES public.p (id) NOT VALID",
      "VALIDATE CONSTRAINT c_p_fkey",
    ],
  ])("%s: %s.%s after %s", async (id, table, column, change, back) => {
    const alter = (sql: string) => one.query(`ALTER TABLE public.${table} ${sql}`);
    await alter(change);
    expect(await faults()).toEqual([[id, table, column]]);
    await alter(back);
    expect(await faults()).toEqual([]);
  });

  it("a foreign key that is kept from being looked at", async () => {
    const alter = (what: string) =>
      cluster.query(`ALTER TABLE c ${what} TRIGGER ALL`, new URL(one.url).pathname.slice(1));
    await alter("DISABLE");
    expect(await faults()).toEqual([["constraint-differs", "c", "c_p_fkey"]]);
    await alter("ENABLE");
    expect(await faults()).toEqual([]);
  });

  const TOUCH = `CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN UPDATE public.p SET word = word; RETURN NULL; END'`;
  const TRIGGER =
    "CREATE TRIGGER lifeboat_touching AFTER INSERT ON public.c EXECUTE FUNCTION public.touch()";
  // What a sync, whose role may not pass over it, would set off is an error; what only refuses, or does nothing yet, a warning.
  it.each<[severity: string, id: string, column: string | null, change: string, back: string]>([
    [
      "error",
      "trigger-not-planned",
      "lifeboat_touching",
      TRIGGER,
      "DROP TRIGGER lifeboat_touching ON public.c",
    ],
    [
      "error",
      "trigger-not-planned",
      "lifeboat_touching",
      `${TRIGGER}; ALTER TABLE public.c ENABLE ALWAYS TRIGGER lifeboat_touching`,
      "DROP TRIGGER lifeboat_touching ON public.c",
    ],
    [
      "error",
      "trigger-not-planned",
      "lifeboat_touching",
      `${TRIGGER}; ALTER TABLE public.c ENABLE REPLICA TRIGGER lifeboat_touching`,
      "DROP TRIGGER lifeboat_touching ON public.c",
    ],
    [
      "warning",
      "trigger-not-planned",
      "lifeboat_touching",
      `${TRIGGER}; ALTER TABLE public.c DISABLE TRIGGER lifeboat_touching`,
      "DROP TRIGGER lifeboat_touching ON public.c",
    ],
    [
      "error",
      "rule-not-planned",
      "doubling",
      "CREATE RULE doubling AS ON INSERT TO public.c DO ALSO INSERT INTO public.loose VALUES (1)",
      "DROP RULE doubling ON public.c",
    ],
    [
      "error",
      "constraint-not-planned",
      "cascading",
      "ALTER TABLE public.c ADD CONSTRAINT cascading FOREIGN KEY (k) REFERENCES public.made ON DELETE CASCADE NOT VALID",
      "ALTER TABLE public.c DROP CONSTRAINT cascading",
    ],
    [
      "error",
      "constraint-not-planned",
      "nulling",
      "ALTER TABLE public.c ADD CONSTRAINT nulling FOREIGN KEY (k) REFERENCES public.made ON UPDATE SET NULL NOT VALID",
      "ALTER TABLE public.c DROP CONSTRAINT nulling",
    ],
    ...[
      "FOREIGN KEY (k) REFERENCES public.made NOT VALID",
      "CHECK (k > 0)",
      "UNIQUE (k)",
      "EXCLUDE (k WITH =)",
    ].map((definition): [string, string, string, string, string] => [
      "warning",
      "constraint-not-planned",
      "added",
      `ALTER TABLE public.c ADD CONSTRAINT added ${definition}`,
      "ALTER TABLE public.c DROP CONSTRAINT added",
    ]),
    [
      "warning",
      "index-not-planned",
      "added",
      "CREATE UNIQUE INDEX added ON public.c (k) WHERE k > 0",
      "DROP INDEX public.added",
    ],
    [
      "warning",
      "row-security-not-planned",
      null,
      "ALTER TABLE public.c ENABLE ROW LEVEL SECURITY",
      "ALTER TABLE public.c DISABLE ROW LEVEL SECURITY",
    ],
  ])("%s %s: %s came after the load, by %s", async (severity, id, column, change, back) => {
    await one.query(`${TOUCH}; ${change}`);
    const { ok, findings, verifiedAt } = await one.verify();
    expect(findings).toMatchObject([{ id, severity, table: "c", column }]);
    expect([ok, verifiedAt === null]).toEqual([severity === "warning", severity === "error"]);
    await one.query(`${back}; DROP FUNCTION public.touch()`);
    expect((await one.verify()).findings).toEqual([]);
  });

  it("a trigger that a sync passes over, since its role may, as a warning; one that fires always as an error", async () => {
    await cluster.query("GRANT SET ON PARAMETER session_replication_role TO lifeboat");
    await one.query(`${TOUCH}; ${TRIGGER}`);
    const severities = async () => (await one.verify()).findings.map(({ severity }) => severity);
    expect(await severities()).toEqual(["warning"]);
    await one.query("ALTER TABLE public.c ENABLE ALWAYS TRIGGER lifeboat_touching");
    expect(await severities()).toEqual(["error"]);
    await one.query("DROP FUNCTION public.touch() CASCADE");
    await cluster.query("REVOKE SET ON PARAMETER session_replication_role FROM lifeboat");
  });

  it("nothing of an index that is not unique, nor of a product's other tables", async () => {
    await one.query(
      `CREATE INDEX c_more ON public.c (p, k); CREATE TABLE public.other (v int UNIQUE); ${TOUCH};
       CREATE TRIGGER lifeboat_touching AFTER INSERT ON public.other EXECUTE FUNCTION public.touch()`,
    );
    expect((await one.verify()).findings).toEqual([]);
    await one.query(
      "DROP INDEX public.c_more; DROP TABLE public.other; DROP FUNCTION public.touch()",
    );
  });

  it("a view that shows something else", async () => {
    await one.query("CREATE OR REPLACE VIEW public.ids AS SELECT id + 1 AS id FROM public.c");
    expect(await faults()).toEqual([["view-differs", "ids", null]]);
    await one.query("CREATE OR REPLACE VIEW public.ids AS SELECT c.id FROM public.c AS c");
    expect(await faults()).toEqual([]);
  });

  it("a key that comes twice, since nothing forbids it any more, as a row more", async () => {
    await one.query(
      "ALTER TABLE public.c DROP CONSTRAINT c_pkey; INSERT INTO public.c VALUES (1, 1, 1)",
    );
    const found = await one.verify();
    expect(found.findings.map(({ id, count, sample }) => [id, count, sample])).toEqual([
      ["rows-differ", 1, ["1 (missing-in-sqlite)"]],
      ["constraint-differs", 1, []],
    ]);
    await one.query(
      "DELETE FROM public.c WHERE ctid = (SELECT max(ctid) FROM public.c); ALTER TABLE public.c ADD CONSTRAINT c_pkey PRIMARY KEY (id)",
    );
    expect(await faults()).toEqual([]);
  });

  it("an index of the same name on another column, and a view that is gone", async () => {
    await one.query("DROP INDEX public.c_k");
    await one.query("CREATE INDEX c_k ON public.c(p)");
    await one.query("DROP VIEW public.ids");
    expect(await faults()).toEqual([
      ["index-differs", "c", "c_k"],
      ["view-differs", "ids", null],
    ]);
    await one.query("DROP INDEX public.c_k");
    await one.query("CREATE INDEX c_k ON public.c(k)");
    await one.query("CREATE VIEW public.ids AS SELECT c.id FROM public.c AS c");
  });

  it("a column that is no longer calculated", async () => {
    await one.query("ALTER TABLE public.made ALTER twice DROP EXPRESSION");
    expect(await faults()).toEqual([["column-differs", "made", "twice"]]);
    await one.query("ALTER TABLE public.made ALTER twice SET DEFAULT 0");
    expect(await faults()).toEqual([["column-differs", "made", "twice"]]);
    await one.query(
      "ALTER TABLE public.made DROP twice, ADD twice bigint GENERATED ALWAYS AS ((k * 2::bigint)) STORED",
    );
  });

  it("columns and tables that are gone, and compares the rest", async () => {
    await one.query("ALTER TABLE public.c DROP COLUMN k");
    await one.query("DROP TABLE public.loose, public.made");
    await one.query("UPDATE public.p SET word = 'other' WHERE id = 1");
    expect(await faults()).toEqual(
      expect.arrayContaining([
        ["column-differs", "c", "k"],
        ["table-differs", "loose", null],
        ["table-differs", "made", null],
        ["rows-differ", "p", "word"],
      ]),
    );
  });
});
