import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";
import type { DeclaredTable } from "../src/declared.ts";
import type { Choice, Choices } from "../src/finding.ts";
import { planMigration } from "../src/make-plan.ts";

async function databaseOf(sql: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-types-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "app.db");
  const db = new Database(path);
  db.pragma("foreign_keys = OFF");
  db.exec(sql);
  db.close();
  return path;
}

/** The type and codec of each column of the first table of a database. */
async function typesOf(
  sql: string,
  options: { wish?: Record<string, string>; choices?: Choices } = {},
): Promise<Record<string, string>> {
  const path = await databaseOf(sql);
  const postgres: DeclaredTable[] = [
    {
      name: "t",
      columns: Object.entries(options.wish ?? {}).map(([name, type]) => ({
        name,
        type,
        notNull: false,
      })),
    },
  ];
  const plan = await planMigration({
    sqlite: { path },
    ...(options.wish && { declared: { postgres } }),
    ...(options.choices && { choices: options.choices }),
    signal: new AbortController().signal,
  });
  return Object.fromEntries(
    plan.tables[0]?.columns.map((column) => [column.source, `${column.type} ${column.codec}`]) ??
      [],
  );
}

it("decides by what is stored, not by what was declared", async () => {
  expect(
    await typesOf(
      `CREATE TABLE t(a INTEGER, b TEXT, c BOOLEAN, d BOOLEAN, e DATETIME, f DATETIME, g JSON, h JSON, i DECIMAL, j DECIMAL, k REAL, l, m BLOB);
       INSERT INTO t VALUES ('abc', '{}', 1, 2, '2024-01-02 03:04:05', '2024-01-02 03:04:05', '{"a":1}', '{bad', 12.34, 5, 3, 7, 'text');
       INSERT INTO t VALUES (5, '[]', 0, 1, '2024-02-29 00:00:00', '2024-02-30 00:00:00', '[]', '{}', 5, 6, 0.5, -7, NULL)`,
    ),
  ).toEqual({
    a: "text numbers-in-text",
    b: "text text",
    c: "boolean boolean",
    d: "bigint integer",
    e: "timestamp without time zone iso-datetime",
    f: "text text",
    g: "json json",
    h: "text text",
    i: "numeric number",
    j: "numeric number",
    k: "double precision real",
    l: "bigint integer",
    m: "text text",
  });
});

it("takes TINYINT(1) for a boolean, as Laravel and Sequelize mean it, and leaves the numbers of a DATETIME numbers", async () => {
  expect(
    await typesOf(
      `CREATE TABLE t(a TINYINT(1), b TINYINT(1), c tinyint(1), d TINYINT, ms DATETIME, s TIMESTAMP, old DATETIME, digits DATETIME, n INTEGER);
       INSERT INTO t VALUES (1, 2, NULL, 1, 1704103200123, 1704103200, 0, 202401020304, 1704103200123), (0, 0, NULL, 0, 946684800000, 946684800, 1704103200123, 202401020305, 1704103200123)`,
    ),
  ).toEqual({
    a: "boolean boolean",
    b: "bigint integer",
    c: "boolean boolean",
    d: "bigint integer",
    ms: "bigint integer",
    s: "bigint integer",
    old: "bigint integer",
    digits: "bigint integer",
    n: "bigint integer",
  });
});

it("names the numbers of a DATETIME that are instants of our time, with the choice that makes them so", async () => {
  const path = await databaseOf(
    `CREATE TABLE t(ms DATETIME, s TIMESTAMP, old DATETIME, digits DATETIME, n INTEGER);
     INSERT INTO t VALUES (1704103200123, 1704103200, 0, 202401020304, 1704103200123), (946684800000, 946684800, 1704103200123, 202401020305, 1704103200123)`,
  );
  const { findings } = await planMigration({
    sqlite: { path },
    signal: new AbortController().signal,
  });
  const named = findings.filter(({ id }) => id === "numbers-of-instants");
  expect(named.map(({ column, choices }) => [column, choices[0]?.codec])).toEqual([
    ["ms", "epoch-ms"],
    ["s", "epoch-s"],
  ]);
});

it("takes an instant that no row has yet for one like the others of its declaration, where those are one way", async () => {
  const at = "'2024-01-02 03:04:05.678901'";
  const empty = (columns: string, values: string) =>
    typesOf(
      `CREATE TABLE t(gone datetime(6), note TEXT, id INT, ref DATETIME(6) REFERENCES other); CREATE TABLE other(id DATETIME(6) PRIMARY KEY, ${columns}); INSERT INTO other VALUES (NULL, ${values})`,
    );
  const text = { gone: "text text", note: "text text", id: "bigint integer", ref: "text text" };
  const like = { ...text, gone: "timestamp without time zone iso-datetime-us" };
  expect(await empty("at DATETIME(6), other DATETIME", `${at}, 'never'`)).toEqual(like);
  expect(await empty("at DATETIME(6), other DATETIME(6)", `${at}, 'never'`)).toEqual(text);
  expect(await empty("at DATETIME, other TEXT", `${at}, ${at}`)).toEqual(text);
  expect(
    await typesOf("CREATE TABLE t(gone DATETIME, at DATETIME); INSERT INTO t VALUES (NULL, 5)"),
  ).toEqual({ gone: "text text", at: "bigint integer" });
  const choices = { "t.gone": { type: "text" } };
  expect(
    await typesOf(
      `CREATE TABLE t(gone DATETIME, at DATETIME); INSERT INTO t VALUES (NULL, ${at})`,
      { choices },
    ),
  ).toMatchObject({ gone: "text text" });
});

it("takes the type that the product wishes for where every stored value allows it, and only there", async () => {
  const wish = {
    a: "timestamp with time zone",
    b: "timestamp (3) with time zone",
    c: "uuid",
    d: "uuid",
    e: "jsonb",
    f: "numeric(10, 2)",
    g: "boolean",
    h: "text",
    i: "timestamp",
  };
  expect(
    await typesOf(
      `CREATE TABLE t(a INT, b INT, c TEXT, d TEXT, e TEXT, f REAL, g INT, h TEXT, i INT);
       INSERT INTO t VALUES (1704164645, 1704164645123, '0f8fad5b-d9cb-469f-a165-70867728950e', '0F8FAD5B-D9CB-469F-A165-70867728950E',
         '{"b":1,"a":2}', 0.5, 1, '0f8fad5b-d9cb-469f-a165-70867728950e', 5)`,
      { wish },
    ),
  ).toEqual({
    a: "timestamp with time zone epoch-s",
    b: "timestamp with time zone epoch-ms",
    c: "uuid uuid",
    d: "text text",
    // jsonb would order the keys anew.
    e: "json json",
    f: "numeric number",
    g: "boolean boolean",
    h: "text text",
    i: "bigint integer",
  });
});

it("gives both ends of a foreign key one type, whatever either would get alone", async () => {
  const sql = `CREATE TABLE t(id INT PRIMARY KEY, parent INT REFERENCES t); INSERT INTO t VALUES (1, NULL), ('x', 1)`;
  expect(await typesOf(sql)).toEqual({
    id: "text numbers-in-text",
    parent: "text numbers-in-text",
  });
  const uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
  expect(
    await typesOf(
      `CREATE TABLE t(id TEXT PRIMARY KEY, parent TEXT REFERENCES t); INSERT INTO t VALUES ('${uuid}', 'gone')`,
    ),
  ).toEqual({ id: "text text", parent: "text text" });
  expect(
    await typesOf(
      `CREATE TABLE t(id TEXT PRIMARY KEY, parent TEXT REFERENCES t); INSERT INTO t VALUES ('${uuid}', NULL)`,
    ),
  ).toEqual({ id: "uuid uuid", parent: "uuid uuid" });
});

it("never makes json of a column that a key or an index compares", async () => {
  expect(
    await typesOf(
      `CREATE TABLE t(a JSON UNIQUE, b JSON); INSERT INTO t VALUES ('{}', '{}'); CREATE INDEX i ON t(b)`,
    ),
  ).toEqual({ a: "text text", b: "text text" });
});

it.each<[string, Choice, string]>([
  ["t", { type: "text" }, `"t"].type means nothing there: it takes table`],
  ["t.a", { table: "skip" }, `"t.a"].table means nothing there: it takes codec, nullable, type`],
  ["t.a", { generated: "plain" }, `"t.a"].generated means nothing there`],
  ["t.id", { constraint: "skip" }, `"t.id"].constraint means nothing there`],
  ["t.by_a", { nullable: true }, `"t.by_a"].nullable means nothing there: it takes constraint`],
  ["t.by_b", { constraint: "skip" }, `"t.by_b"] names no table, column or finding`],
])("refuses for %s the answer %j, which would be passed over", async (key, choice, message) => {
  const sql =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, twice INT AS (id * 2), b INT UNIQUE); CREATE INDEX by_a ON t(a)";
  const fault = {
    code: "CHOICE_UNKNOWN",
    kind: "usage",
    message: expect.stringContaining(message),
  };
  await expect(typesOf(sql, { choices: { [key]: choice } })).rejects.toMatchObject(fault);
  // What a constraint or a NOT NULL once needed may stay, and what a column that is calculated takes.
  const choices: Choices = {
    "t.a": { nullable: true },
    "t.b": { constraint: "skip" },
    "t.by_a": { constraint: "skip" },
    "t.twice": { generated: "plain", type: "bigint" },
  };
  expect(await typesOf(sql, { choices })).toMatchObject({ twice: "bigint integer" });
});

it("sees each value of a large database that two threads read, and a table that can't be read spoils no other", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-types-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "app.db");
  const db = new Database(path);
  db.pragma("journal_mode = WAL");
  db.function("of_the_product", { deterministic: true }, (value) => value);
  db.exec(
    `CREATE TABLE unread(id INTEGER PRIMARY KEY, u TEXT, made AS (of_the_product(u)));
     CREATE TABLE spoilt(id INTEGER PRIMARY KEY, u TEXT, ok BOOLEAN, n INT, low BOOLEAN, pad BLOB);
     CREATE TABLE sound(id INTEGER PRIMARY KEY, u TEXT, ok BOOLEAN, n INT, low BOOLEAN, pad BLOB);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90000)
       INSERT INTO sound SELECT i, printf('0f8fad5b-d9cb-469f-a165-%012x', i), i % 2, i, i % 2, zeroblob(120) FROM n;
     INSERT INTO spoilt SELECT * FROM sound; INSERT INTO unread(id, u) SELECT id, u FROM sound;
     UPDATE spoilt SET u = upper(u) WHERE id = 30000; UPDATE spoilt SET ok = 2 WHERE id = 50000;
     UPDATE spoilt SET n = 2.5 WHERE id = 70000; UPDATE spoilt SET low = -1 WHERE id = 90000`,
  );
  db.close();
  expect((await stat(path)).size).toBeGreaterThan(32 * 1024 * 1024);
  const plan = await planMigration({ sqlite: { path }, signal: new AbortController().signal });
  expect(plan.findings.map(({ id, table }) => [id, table])).toEqual([
    ["table-unreadable", "unread"],
  ]);
  const found = plan.tables.map(({ name, rows, columns }) => [
    ...[name, rows],
    ...columns.slice(1, 5).map(({ codec, stored }) => `${codec} ${JSON.stringify(stored)}`),
  ]);
  const [integers, texts] = ['{"integers":90000}', '{"texts":90000}'];
  expect(found).toEqual([
    ...[
      [
        "spoilt",
        90_000,
        `text ${texts}`,
        `integer ${integers}`,
        'number {"integers":89999,"reals":1}',
        `integer ${integers}`,
      ],
    ],
    ...[
      [
        "sound",
        90_000,
        `uuid ${texts}`,
        `boolean ${integers}`,
        `integer ${integers}`,
        `boolean ${integers}`,
      ],
    ],
  ]);
});

it("does what a choice says where that brings every value back, and refuses where not", async () => {
  const sql = "CREATE TABLE t(a TEXT, b INT); INSERT INTO t VALUES ('x' || char(0), 1704164645)";
  expect(
    await typesOf(sql, {
      choices: { "t.a": { type: "bytea" }, "t.b": { type: "timestamptz", codec: "epoch-s" } },
    }),
  ).toEqual({ a: "bytea text-bytes", b: "timestamp with time zone epoch-s" });
  await expect(typesOf(sql, { choices: { "t.b": { type: "boolean" } } })).rejects.toMatchObject({
    code: "CHOICE_IMPOSSIBLE",
  });
});
