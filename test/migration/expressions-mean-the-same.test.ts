import Database from "better-sqlite3";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Untranslatable } from "../../packages/migrate/src/expression/expression.ts";
import { parseExpression } from "../../packages/migrate/src/expression/parse-expression.ts";
import {
  type Scope,
  translate,
} from "../../packages/migrate/src/expression/translate-expression.ts";
import { asValue, type ValueType } from "../../packages/migrate/src/expression/translated.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";

const ROWS = [
  { i: 0, r: 0.5, s: "", n: "a" },
  { i: 1, r: -0.5, s: "a", n: "A" },
  { i: -7, r: 2.5, s: "Ab c ", n: "é" },
  { i: 1000003, r: -1e15, s: "É%_\\", n: "É" },
  { i: null, r: null, s: null, n: null },
  { i: 2, r: 1e-9, s: "5", n: "zz " },
];
const COLUMNS: Readonly<Record<string, [ValueType, string]>> = {
  i: ["integer", "BINARY"],
  r: ["real", "BINARY"],
  s: ["text", "BINARY"],
  n: ["text", "NOCASE"],
};
const scope: Scope = (_, name) => {
  const found = COLUMNS[name];
  return found
    ? { sql: `"${name}"`, type: found[0], collation: found[1], collatedBy: "column" }
    : null;
};

let cluster: TestCluster;
let client: pg.Client;
const db = new Database(":memory:");
beforeAll(async () => {
  cluster = await startCluster();
  client = new pg.Client(cluster.url);
  await client.connect();
  db.exec(
    "CREATE TABLE t(id INTEGER PRIMARY KEY, i INTEGER, r REAL, s TEXT, n TEXT COLLATE NOCASE)",
  );
  await client.query("CREATE TABLE public.t(id bigint, i bigint, r float8, s text, n text)");
  for (const [id, { i, r, s, n }] of ROWS.entries()) {
    db.prepare("INSERT INTO t VALUES (?, ?, ?, ?, ?)").run(id, i, r, s, n);
    await client.query("INSERT INTO public.t VALUES ($1, $2, $3, $4, $5)", [id, i, r, s, n]);
  }
});
afterAll(async () => {
  await client.end();
  await cluster.stop();
});

const { expression } = fc.letrec<{
  number: string;
  text: string;
  condition: string;
  expression: string;
}>((tie) => ({
  number: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom("i", "r", "0", "1", "-7", "2.5", "1e3", "NULL"),
    fc
      .tuple(tie("number"), fc.constantFrom("+", "-", "*"), tie("number"))
      .map((parts) => `(${parts.join(" ")})`),
    tie("number").map((one) => `abs(${one})`),
    tie("number").map((one) => `round(${one})`),
    tie("number").map((one) => `CAST(${one} AS INTEGER)`),
    tie("text").map((one) => `length(${one})`),
    fc
      .tuple(tie("condition"), tie("number"), tie("number"))
      .map(([when, a, b]) => `CASE WHEN ${when} THEN ${a} ELSE ${b} END`),
    fc.tuple(tie("number"), tie("number")).map(([a, b]) => `coalesce(${a}, ${b})`),
    fc.tuple(tie("number"), tie("number")).map(([a, b]) => `nullif(${a}, ${b})`),
  ),
  text: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom("s", "n", "'a'", "'É'", "''", "'ab c'", "NULL"),
    fc.tuple(tie("text"), tie("text")).map(([a, b]) => `(${a} || ${b})`),
    fc.tuple(tie("text"), fc.constant("i")).map(([a, b]) => `(${a} || ${b})`),
    fc
      .tuple(fc.constantFrom("lower", "upper", "trim", "ltrim", "rtrim"), tie("text"))
      .map(([f, a]) => `${f}(${a})`),
    fc
      .tuple(tie("text"), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 3 }))
      .map(([a, from, count]) => `substr(${a}, ${from}, ${count})`),
    tie("text").map((one) => `replace(${one}, 'a', 'bb')`),
    tie("number").map((one) => `typeof(${one})`),
    fc.tuple(tie("text"), tie("text")).map(([a, b]) => `ifnull(${a}, ${b})`),
  ),
  condition: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom("i", "TRUE", "s IS NULL", "n NOTNULL"),
    fc
      .tuple(tie("number"), fc.constantFrom("=", "<>", "<", ">=", "IS", "IS NOT"), tie("number"))
      .map((parts) => `(${parts.join(" ")})`),
    fc
      .tuple(tie("text"), fc.constantFrom("=", "!=", "<", ">=", "IS", "IS NOT"), tie("text"))
      .map((parts) => `(${parts.join(" ")})`),
    fc
      .tuple(tie("condition"), fc.constantFrom("AND", "OR"), tie("condition"))
      .map((parts) => `(${parts.join(" ")})`),
    tie("condition").map((one) => `(NOT ${one})`),
    fc
      .tuple(tie("number"), fc.constantFrom("IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE"))
      .map(([a, test]) => `(${a} ${test})`),
    fc
      .tuple(tie("text"), fc.constantFrom("IN", "NOT IN"), tie("text"))
      .map(([a, op, b]) => `(${a} ${op} (${b}, 'a', 'zz'))`),
    fc
      .tuple(tie("number"), tie("number"), tie("number"))
      .map(([a, b, c]) => `(${a} BETWEEN ${b} AND ${c})`),
    fc
      .tuple(tie("text"), fc.constantFrom("'a%'", "'_B%'", "'%\\%'", "'É%'"))
      .map(([a, b]) => `(${a} LIKE ${b})`),
    fc
      .tuple(tie("text"), fc.constantFrom("'[a-z]*'", "'?b*'", "'*[^a]'", "'A*.\\'"))
      .map(([a, b]) => `(${a} GLOB ${b})`),
    fc.tuple(tie("text"), tie("text")).map(([a, b]) => `(${a} COLLATE NOCASE = ${b})`),
  ),
  expression: fc.oneof(tie("number"), tie("text"), tie("condition")),
}));

let translated = 0;

it("gives the same value in Postgres for every expression that is translated", async () => {
  await fc.assert(
    fc.asyncProperty(expression, async (sql) => {
      const there = inPostgres(sql);
      fc.pre(there !== null);
      translated++;
      const rows = await accepted(`SELECT ${there} FROM public.t ORDER BY id`);
      fc.pre(rows !== null);
      const here = db.prepare(`SELECT ${sql} FROM t ORDER BY id`).pluck().all();
      expect(
        rows?.map(([value]) => shown(value)),
        sql,
      ).toEqual(here.map(shown));
    }),
    { numRuns: Number(process.env.LIFEBOAT_EXPRESSION_RUNS ?? 300) },
  );
  expect(translated).toBeGreaterThan(100);
});

/** Syntax, ambiguous or mismatched types, numbers out of range: what the server refuses aloud has no other meaning there. */
const REFUSALS = /^(42...|22003)$/;

async function accepted(sql: string): Promise<unknown[][] | null> {
  try {
    return (await client.query({ text: sql, rowMode: "array" })).rows;
  } catch (cause) {
    if (REFUSALS.test((cause as { code?: string }).code ?? "")) return null;
    throw cause;
  }
}

function inPostgres(sql: string): string | null {
  try {
    return asValue(translate(parseExpression(sql), scope)).sql;
  } catch (cause) {
    if (cause instanceof Untranslatable) return null;
    throw cause;
  }
}

/** Numbers as numbers whatever their driver makes of them; a whole real is a whole number. */
function shown(value: unknown): unknown {
  if (typeof value === "string" && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(value)) return Number(value);
  return Object.is(value, -0) ? 0 : value;
}
