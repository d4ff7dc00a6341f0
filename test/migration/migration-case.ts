import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Choice,
  type DeclaredSchemas,
  type LoadReport,
  loadMigration,
  type MigrationPlan,
  planMigration,
  type VerifyReport,
  verifyMigration,
} from "@lifeboat/migrate";
import Database from "better-sqlite3";
import pg from "pg";
import type { TestCluster } from "../support/postgres.ts";
import { compareIndependently } from "./independent-comparison.ts";

/** One SQLite file and one empty database of Postgres, both its own. */
export interface MigrationCase {
  path: string;
  readonly url: string;
  choices: Record<string, Choice>;
  /** Where the tables go; `public` when left out. */
  schema?: string;
  declared?: DeclaredSchemas;
  plan(): Promise<MigrationPlan>;
  load(): Promise<LoadReport>;
  verify(): Promise<VerifyReport>;
  /** Loads, and proves by the second comparison that both sides are equal. */
  loadFaithfully(): Promise<MigrationPlan>;
  /** Answers every error of the plan with its first choice until there is none. */
  answerAll(): Promise<MigrationPlan>;
  query<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]>;
  sqlite(sql: string): void;
  end(): Promise<void>;
}

let databases = 0;

/** @param sql what makes the SQLite database, which is in WAL mode unless that changes it */
export async function migrationCase(cluster: TestCluster, sql: string): Promise<MigrationCase> {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-migration-"));
  const path = join(folder, "app.db");
  const name = `case_${process.pid}_${++databases}`;
  await cluster.query(`CREATE DATABASE ${name} OWNER lifeboat`);
  const url = cluster.url.replace(/app$/, name);
  const request = () => ({
    sqlite: { path: made.path },
    postgres: { url },
    choices: made.choices,
    ...(made.schema !== undefined && { schema: made.schema }),
    ...(made.declared && { declared: made.declared }),
    signal: new AbortController().signal,
  });
  const made: MigrationCase = {
    path,
    url,
    choices: {},
    plan: () => planMigration(request()),
    load: () => loadMigration(request()),
    verify: () => verifyMigration(request()),
    async loadFaithfully() {
      const plan = await made.plan();
      await made.load();
      const { differences } = await compareIndependently(path, url, plan);
      if (differences.length > 0) throw new Error(differences.slice(0, 20).join("\n"));
      return plan;
    },
    async answerAll() {
      for (;;) {
        const plan = await made.plan();
        const errors = plan.findings.filter((one) => one.severity === "error");
        if (errors.length === 0) return plan;
        for (const one of errors) {
          const [choice] = one.choices;
          if (!choice) throw new Error(`no choice answers ${one.summary}`);
          made.choices[one.column === null ? `${one.table}` : `${one.table}.${one.column}`] =
            choice;
        }
      }
    },
    query: (statement) => ask(url, statement),
    sqlite: (statement) => {
      const db = new Database(path);
      // As SQLite's default is, and that of the driver is not.
      db.pragma("foreign_keys = OFF");
      db.exec(statement);
      db.close();
    },
    async end() {
      await cluster.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await rm(folder, { recursive: true, force: true });
    },
  };
  made.sqlite(`PRAGMA journal_mode = WAL; ${sql}`);
  return made;
}

async function ask<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
