import { readFileSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import {
  type Choice,
  followReverse,
  loadMigration,
  type MigrationPlan,
  type MigrationRequest,
  planMigration,
  type TargetAddress,
} from "@lifeboat/migrate";
import Database from "better-sqlite3";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { generatedDatabases, writeDatabase } from "./generated-databases.ts";
import { cutOverByHand, refusingFor } from "./reverse-case.ts";

let cluster: TestCluster;
let folder: string;
beforeAll(async () => {
  cluster = await startCluster();
  folder = await mkdtemp(join(tmpdir(), "lifeboat-round-trip-"));
});
afterAll(async () => {
  await cluster.stop();
  await rm(folder, { recursive: true, force: true });
});

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Every value of every planned table with its class, by its bytes, as a sorted list. */
function contentOf(path: string, plan: MigrationPlan): string[] {
  const db = new Database(path, { readonly: true });
  try {
    return plan.tables.flatMap((table) => {
      const values = table.columns
        // Cleaned by the user's own choice, whatever it was before.
        .filter((column) => column.codec !== "text-cleaned")
        .map(
          ({ source: name }) => `typeof(${quoted(name)}) || ':' || CASE typeof(${quoted(name)})
          WHEN 'text' THEN hex(CAST(${quoted(name)} AS BLOB)) ELSE quote(${quoted(name)}) END`,
        );
      const sql = `SELECT concat_ws(' ', ${quoted(`${table.name}`).replaceAll('"', "'")}, ${values.join(", ")}) FROM ${quoted(table.name)} ORDER BY 1`;
      return db.prepare(sql).pluck().all() as string[];
    });
  } finally {
    db.close();
  }
}

/** Answers every error, loads, empties SQLite behind its back, and lets everything come back from Postgres. */
async function roundTrip(path: string, schema: string): Promise<void> {
  const choices: Record<string, Choice> = {};
  const request = () => ({
    sqlite: { path },
    postgres: { url: cluster.url },
    schema,
    choices,
    signal: new AbortController().signal,
  });
  let plan = await planMigration(request());
  for (let round = 0; round < 4; round++) {
    const errors = plan.findings.filter((one) => one.severity === "error");
    if (errors.length === 0) break;
    for (const one of errors) {
      const key = one.column === null ? `${one.table}` : `${one.table}.${one.column}`;
      choices[key] = { ...choices[key], ...one.choices[0] };
    }
    plan = await planMigration(request());
  }
  await loadMigration(request());
  try {
    await thereAndBack(path, plan, request());
  } finally {
    await cluster.query(`DROP SCHEMA ${schema} CASCADE; DROP SCHEMA lifeboat CASCADE`);
  }
}

async function thereAndBack(
  path: string,
  plan: MigrationPlan,
  request: MigrationRequest & { postgres: TargetAddress },
): Promise<void> {
  const migration = await cutOverByHand(cluster.url, plan);
  const before = contentOf(path, plan);
  await touchEverything(plan);
  const db = new Database(path);
  db.pragma("foreign_keys = OFF");
  db.exec(refusingFor(migration));
  for (const { name } of plan.tables.filter((table) => table.key.length === 0))
    db.exec(`DELETE FROM ${quoted(name)}`);
  db.close();
  await followReverse({ ...request, until: "caught-up" });
  expect(contentOf(path, plan)).toEqual(before);
}

/** Logs every row as a write would: by its key, or, where it has none, the whole table. */
async function touchEverything(plan: MigrationPlan): Promise<void> {
  const client = new pg.Client(cluster.url);
  await client.connect();
  try {
    await client.query("SET timezone = 'UTC'");
    for (const table of plan.tables) {
      const key = table.columns.filter((column) => table.key.includes(column.source));
      const targets = table.key.map(
        (name) => `${quoted(key.find((one) => one.source === name)?.target ?? "")}::text`,
      );
      const rows = `FROM ${quoted(plan.schema)}.${quoted(table.target)}`;
      const select = key.length === 0 ? "$1, NULL" : `$1, ARRAY[${targets.join(", ")}] ${rows}`;
      const sql = `INSERT INTO lifeboat.changes (relation, key) SELECT ${select}`;
      await client.query(sql, [table.target]);
    }
  } finally {
    await client.end();
  }
}

it("brings the hostile database back byte for byte", async () => {
  const path = join(folder, "nasty.db");
  const nasty = fileURLToPath(new URL("../data/nasty.sql", import.meta.url));
  const database = new DatabaseSync(path, { enableDoubleQuotedStringLiterals: true });
  database.exec(readFileSync(nasty, "utf8"));
  // This one breaks a CHECK of its own table: SQLite takes it from nobody again.
  database.exec("DELETE FROM conf WHERE id = 3");
  database.close();
  await roundTrip(path, "nasty");
  rmSync(path);
});

let runs = 0;
it("brings any database back byte for byte", async () => {
  await fc.assert(
    fc.asyncProperty(generatedDatabases, async (database) => {
      const path = join(folder, `${++runs}.db`);
      writeDatabase(path, database);
      await roundTrip(path, `run_${runs}`);
    }),
    { numRuns: Number(process.env.LIFEBOAT_GENERATED_RUNS ?? 15) },
  );
}, 600_000);
