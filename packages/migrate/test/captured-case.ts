import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database, { type Database as Connection } from "better-sqlite3";
import { installCapture } from "../src/capture/install-capture.ts";
import { makeRefusals, putInForce } from "../src/freeze.ts";
import { planMigration } from "../src/make-plan.ts";
import type { MigrationPlan } from "../src/plan.ts";

/** A database file that is captured, and a connection of ours to it. */
export interface CapturedCase {
  readonly path: string;
  readonly db: Connection;
  readonly plan: MigrationPlan;
  end(): void;
}

export async function capturedCase(sql: string): Promise<CapturedCase> {
  const one = await plannedCase(sql);
  installCapture(one.db, { plan: one.plan, migration: "one" });
  return one;
}

/** The same, not captured yet. */
export async function plannedCase(sql: string): Promise<CapturedCase> {
  const folder = mkdtempSync(join(tmpdir(), "fwd-capture-"));
  const path = join(folder, "app.db");
  const db = new Database(path);
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = OFF");
  db.pragma("foreign_keys = OFF");
  db.exec(sql);
  db.defaultSafeIntegers(true);
  const plan = await planMigration({ sqlite: { path }, signal: new AbortController().signal });
  return {
    path,
    db,
    plan,
    end() {
      db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function schemaOf(db: Connection): unknown[] {
  return db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid").all();
}

/** As a cutover does: the triggers first, and then a write that makes no schema. */
export function refuse(db: Connection, until: number | null = null): void {
  db.transaction(() => makeRefusals(db)).immediate();
  db.transaction(() => putInForce(db, until)).immediate();
}
