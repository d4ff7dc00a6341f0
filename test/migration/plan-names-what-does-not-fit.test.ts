import { loadMigration } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { showPlan } from "../../packages/cli/src/show/plan.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

const many = (count: number, of: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => of(index)).join(", ");

describe("limits of Postgres", () => {
  let cluster: TestCluster;
  let one: MigrationCase | undefined;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster.stop());
  afterEach(async () => {
    await one?.end();
    one = undefined;
  });

  const planned = async (sql: string) => {
    one = await migrationCase(cluster, sql);
    const { findings } = await one.plan();
    return findings.map(({ id, severity, table, column, count, sample }) => {
      expect(count).toBe(sample.length);
      return { id, severity, table, column, sample };
    });
  };

  it("tables of 900 columns, and of 500 with long texts, go over whole and compare equal", async () => {
    one = await migrationCase(
      cluster,
      `CREATE TABLE ints(${many(900, (at) => `c${at} INT`)});
       INSERT INTO ints VALUES (${many(900, String)});
       CREATE TABLE texts(id INTEGER PRIMARY KEY, ${many(500, (at) => `c${at} TEXT`)}, b BLOB);
       INSERT INTO texts VALUES (1, ${many(500, () => "printf('%.200c', 'x')")}, x'00ff')`,
    );
    await one.loadFaithfully();
    expect((await one.verify()).ok).toBe(true);
  });

  it("an id behind which there is none is a warning of the plan, unless SQLite gives none either", async () => {
    const last = "9223372036854775807";
    const findings = await planned(
      `CREATE TABLE free(id INTEGER PRIMARY KEY); INSERT INTO free VALUES (${last});
       CREATE TABLE near(id INTEGER PRIMARY KEY); INSERT INTO near VALUES (${last} - 1);
       CREATE TABLE ended(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO ended VALUES (${last})`,
    );
    expect(findings).toEqual([
      { id: "ids-at-their-end", severity: "warning", table: "free", column: "id", sample: [last] },
    ]);
  });

  it("a database in rollback-journal mode is a warning of the plan with what to run, and of no load beside which nobody writes", async () => {
    one = await migrationCase(cluster, "PRAGMA journal_mode = DELETE; CREATE TABLE t(id INTEGER)");
    const { findings, path } = { ...(await one.plan()), path: one.path };
    expect(findings).toMatchObject([{ id: "rollback-journal", severity: "warning", table: null }]);
    expect(findings[0]?.summary).toContain(`sqlite3 ${path} "PRAGMA journal_mode=WAL"`);
    expect((await one.load()).findings).toEqual([]);
  });

  it("a row that no page holds is an error of the plan that names it", async () => {
    const findings = await planned(
      `CREATE TABLE wide(${many(1100, (at) => `c${at} INT`)});
       INSERT INTO wide(c0) VALUES (1);
       INSERT INTO wide VALUES (${many(1100, String)})`,
    );
    expect(findings).toEqual([
      { id: "row-too-wide", severity: "error", table: "wide", column: null, sample: ["2"] },
    ]);
  });

  it("a row that fits only if its texts compress is a warning of the plan, and the load keeps nothing of it", async () => {
    const findings = await planned(
      `CREATE TABLE wide(${many(500, (at) => `c${at} TEXT`)});
       INSERT INTO wide VALUES (${many(500, () => "hex(randomblob(100))")})`,
    );
    expect(findings).toMatchObject([{ id: "row-too-wide", severity: "warning", table: "wide" }]);
    await expect(one?.load()).rejects.toMatchObject({ code: "TARGET_REFUSED_ROWS" });
    expect(await one?.query("SELECT 1 FROM pg_class WHERE relname = 'wide'")).toEqual([]);
  });

  it("two choices that one key can't have both are refused, never one of them passed over", async () => {
    one = await migrationCase(
      cluster,
      `CREATE TABLE p(id TEXT PRIMARY KEY); CREATE TABLE c(p TEXT REFERENCES p(id));
       INSERT INTO p VALUES ('1'); INSERT INTO c VALUES ('1')`,
    );
    one.choices = { "p.id": { type: "text" }, "c.p": { type: "bigint", codec: "integer-text" } };
    await expect(one.plan()).rejects.toMatchObject({ code: "CHOICE_IMPOSSIBLE" });
    one.choices = { "c.p": { type: "bigint", codec: "integer-text" } };
    expect((await one.loadFaithfully()).tables.map((table) => table.columns[0]?.type)).toEqual([
      "bigint",
      "bigint",
    ]);
  });

  it("a calculated column that is answered stays on record, and no key is made of the columns that are left of it", async () => {
    one = await migrationCase(
      cluster,
      `CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, gone TEXT AS (hex(a)), kept TEXT AS (hex(a)), UNIQUE (a, gone));
       CREATE INDEX by_gone ON t(gone); CREATE VIEW every AS SELECT * FROM t; CREATE TABLE c(a INT, gone TEXT, FOREIGN KEY (a, gone) REFERENCES p(id, gone));
       CREATE TABLE p(id INTEGER PRIMARY KEY, gone TEXT AS (hex(id)), UNIQUE (id, gone)); INSERT INTO t(a) VALUES (1), (2)`,
    );
    const skip = { generated: "skip" } as const;
    one.choices = { "t.gone": skip, "t.kept": { generated: "plain" }, "p.gone": skip };
    const found = async () =>
      (await one?.plan())?.findings.map(({ id, severity, column, summary }) => {
        const [, answer = ""] = /(?:; |: its column .* is )(.*)$/.exec(summary) ?? [];
        return [severity, id, column, answer].join(" ");
      });
    const settled = [
      "warning generated-not-translated gone chosen: skip",
      "warning generated-not-translated kept chosen: plain",
    ];
    expect(await found()).toEqual(expect.arrayContaining(settled));
    expect(await found()).toEqual(
      expect.arrayContaining([
        "error unique-not-translated a,gone left out",
        "warning index-not-translated by_gone left out",
        "error unique-not-translated id,gone left out",
        "error foreign-key-types a,gone ",
        "warning view-not-translated  ",
      ]),
    );
    await one.answerAll();
    const { tables } = await one.loadFaithfully();
    expect(tables.flatMap(({ constraints }) => constraints.map(({ name }) => name))).toEqual([
      "t_pkey",
      "p_pkey",
    ]);
  });

  it("what the server refuses is an error that its answer settles", async () => {
    const names = many(33, (at) => `c${at}`);
    one = await migrationCase(
      cluster,
      `CREATE TABLE wide(id INTEGER PRIMARY KEY, ${names}); CREATE UNIQUE INDEX all_of ON wide(${names}); CREATE INDEX most_of ON wide(${names});
       CREATE TABLE once(${names}, UNIQUE (${names})); CREATE TABLE kinds(id INTEGER PRIMARY KEY);
       CREATE TABLE links(id INTEGER PRIMARY KEY, a INT, kind INT AS (a + 1) STORED REFERENCES kinds(id) ON DELETE SET NULL);
       INSERT INTO links(a) VALUES (NULL)`,
    );
    const refused = (await one.plan()).findings.map((found) => [
      ...[found.severity, found.id, found.table, found.column],
      ...found.choices,
    ]);
    expect(refused).toEqual([
      ["error", "key-refused", "once", null, { table: "skip" }],
      ["error", "index-refused", "wide", "all_of", { constraint: "skip" }],
      ["warning", "index-refused", "wide", "most_of"],
      ["error", "foreign-key-refused", "links", "kind", { constraint: "skip" }],
    ]);
    await one.answerAll();
    const { tables } = await one.loadFaithfully();
    expect(tables.map(({ name }) => name)).toEqual(["wide", "kinds", "links"]);
    expect((await one.verify()).ok).toBe(true);
  });

  it("an expression too long for an index is found before anything is created", async () => {
    const findings = await planned(
      `CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT);
       INSERT INTO t VALUES (1, hex(randomblob(9000)));
       CREATE INDEX folded ON t(lower(body));
       CREATE UNIQUE INDEX once ON t(upper(body));
       CREATE INDEX prefix ON t(substr(body, 1, 20));
       CREATE INDEX others ON t(body) WHERE id > 1`,
    );
    expect(findings).toEqual([
      { id: "key-too-long", severity: "warning", table: "t", column: "folded", sample: ["1"] },
      { id: "key-too-long", severity: "error", table: "t", column: "once", sample: ["1"] },
    ]);
  });

  it("a key of several columns is measured row by row", async () => {
    const table = (rows: string) =>
      `CREATE TABLE t(a TEXT, b TEXT, PRIMARY KEY (a, b)); INSERT INTO t VALUES ${rows}`;
    const long = "hex(zeroblob(1000))";
    expect(await planned(table(`(${long}, 'x'), ('x', ${long})`))).toEqual([]);
    await one?.end();
    expect(await planned(table(`('x', 'x'), (${long}, ${long})`))).toEqual([
      { id: "key-too-long", severity: "error", table: "t", column: "a,b", sample: ["2"] },
    ]);
  });

  it("a table without a rowid whose key is left out can't be followed, and loads while nothing writes", async () => {
    one = await migrationCase(
      cluster,
      "CREATE TABLE t(k TEXT PRIMARY KEY, v INT) WITHOUT ROWID; INSERT INTO t VALUES (hex(zeroblob(5000)), 1), ('a', 2)",
    );
    const { findings } = await one.plan();
    expect(findings.map(({ id, severity }) => `${severity} ${id}`)).toEqual([
      "error key-too-long",
      "warning not-capturable",
    ]);
    await one.answerAll();
    const live = {
      sqlite: { path: one.path },
      postgres: { url: one.url },
      choices: one.choices,
      signal: new AbortController().signal,
      live: true,
    };
    await expect(loadMigration(live)).rejects.toMatchObject({
      code: "NOT_CAPTURABLE",
      kind: "refused",
      remedy: expect.stringContaining("--offline"),
    });
    await one.loadFaithfully();
  });

  it("a column with two faults is answered by one entry, which is shown whole, also once half of it is given", async () => {
    one = await migrationCase(
      cluster,
      "CREATE TABLE u(k TEXT, v ANY); INSERT INTO u VALUES ('a', NULL), ('b', CAST(x'ff00' AS TEXT)), ('c', x'ff00')",
    );
    const db = new Database(one.path).unsafeMode();
    db.pragma("writable_schema = ON");
    db.exec("UPDATE sqlite_schema SET sql = replace(sql, 'v ANY', 'v ANY NOT NULL')");
    db.close();
    expect(showPlan(await one.plan(), "lifeboat")).toContain(
      `2 of them in one entry, such as "u.v": {"type":"text","codec":"tagged","nullable":true}`,
    );
    one.choices = { "u.v": { nullable: true } };
    const { findings } = await one.plan();
    expect(findings.flatMap(({ choices }) => choices)).toEqual([
      { nullable: true, type: "text", codec: "tagged" },
    ]);
    one.choices = { "u.v": { type: "text", codec: "tagged" } };
    const half = await one.plan();
    expect(half.findings.find(({ id }) => id === "null-in-not-null")?.choices).toEqual([
      { type: "text", codec: "tagged", nullable: true },
    ]);
  });
});
