import { LifeboatError } from "@lifeboat/core";
import type { Database } from "better-sqlite3";
import type { MigrationPlan } from "../plan.ts";
import { hasOwnObjects, LOG_TABLE, OWN_TABLES, STATE_TABLE } from "../sqlite/own-objects.ts";
import { readSchema } from "../sqlite/read-schema.ts";
import { tableNamed } from "../sqlite/schema.ts";
import { productSchemaDigest } from "../sqlite/schema-digest.ts";
import { captureTriggers } from "./capture-triggers.ts";
import type { CapturedTable } from "./captured-table.ts";
import { assertCapturable } from "./replaced-rows.ts";
import { logColumns, widestIdentity } from "./row-identity.ts";
import { noteSchema, schemaVersion } from "./schema-watch.ts";

export interface CaptureOf {
  /** Made from this database as it is. */
  readonly plan: MigrationPlan;
  /** The migration's id. */
  readonly migration: string;
}

/**
 * Lets the database log which rows are written from here on, in one transaction of its own. Uses only what any SQLite
 * knows, since the product's library may be old. Installed already for the same migration, it stays as it is.
 * @param db a connection that may write, with safe integers
 * @throws LifeboatError `CAPTURED_BY_ANOTHER`, `NAME_TAKEN`, `NOT_CAPTURABLE`, `SOURCE_CHANGED` (all refused)
 */
export function installCapture(db: Database, { plan, migration }: CaptureOf): void {
  db.transaction(() => {
    const owner = capturedFor(db);
    if (owner === migration) return;
    if (owner !== null) throw byAnother(owner, plan);
    if (!isPlannedSchema(db, plan)) throw schemaChanged(plan);
    const schema = readSchema(db);
    for (const name of OWN_TABLES) if (tableNamed(schema, name)) throw nameTaken(name);
    const tables = plan.tables.map((planned, number): CapturedTable => {
      const source = tableNamed(schema, planned.name);
      if (!source) throw schemaChanged(plan);
      return { number, planned, source };
    });
    createTables(db, plan, migration);
    for (const table of tables) for (const sql of captureTriggers(table)) db.exec(sql);
    noteSchema(db);
  }).immediate();
}

/** The version alone also moves by a VACUUM, and by a load that was broken off and took its triggers away again. */
function isPlannedSchema(db: Database, { source }: MigrationPlan): boolean {
  if (source.schemaDigest !== undefined) return productSchemaDigest(db) === source.schemaDigest;
  return schemaVersion(db) === BigInt(source.schemaVersion);
}

/** @throws LifeboatError `NOT_CAPTURABLE`, for a table of the plan */
export function assertAllCapturable(db: Database, { tables }: MigrationPlan): void {
  const schema = readSchema(db);
  for (const { name } of tables) {
    const source = tableNamed(schema, name);
    if (source) assertCapturable(source);
  }
}

/** The migration whose capture is in the database, or null. */
export function capturedFor(db: Database): string | null {
  if (!hasOwnObjects(db)) return null;
  return db.prepare<[], string>(`SELECT migration FROM ${STATE_TABLE}`).pluck().get() ?? null;
}

/**
 * No AUTOINCREMENT: it would leave sqlite_sequence behind, which can't be dropped. By its stamp an entry is told from the one that an older
 * copy of the file gives the same number and key: a product that only adds rows gives them the same ids again. See decision 30.
 */
function createTables(db: Database, plan: MigrationPlan, migration: string): void {
  const keys = logColumns(widestIdentity(plan)).join(", ");
  db.exec(
    `CREATE TABLE ${LOG_TABLE} (seq INTEGER PRIMARY KEY, tbl INTEGER NOT NULL, ${keys}, stamp INTEGER NOT NULL DEFAULT (random()))`,
  );
  db.exec(
    `CREATE TABLE ${STATE_TABLE} (refused INTEGER NOT NULL, until INTEGER, migration TEXT NOT NULL, schema_version INTEGER, schema_digest TEXT)`,
  );
  db.prepare(`INSERT INTO ${STATE_TABLE} (refused, migration) VALUES (0, ?)`).run(migration);
}

function byAnother(owner: string, plan: MigrationPlan): LifeboatError {
  return new LifeboatError({
    code: "CAPTURED_BY_ANOTHER",
    kind: "refused",
    message: `${plan.source.file} is captured by migration ${owner} already`,
    remedy: "end that one first: lifeboat migrate abort, against its own target",
    details: { migration: owner },
  });
}

function schemaChanged(plan: MigrationPlan): LifeboatError {
  return new LifeboatError({
    code: "SOURCE_CHANGED",
    kind: "refused",
    message: `the schema of ${plan.source.file} is not the one that the plan was made from`,
    remedy: "make the plan anew; nothing was changed in SQLite",
    details: { file: plan.source.file },
  });
}

function nameTaken(name: string): LifeboatError {
  return new LifeboatError({
    code: "NAME_TAKEN",
    kind: "refused",
    message: `the database has a table ${name} of its own, which Lifeboat needs the name of`,
    remedy: "rename that table in the product; nothing was changed in SQLite",
    details: { table: name },
  });
}
