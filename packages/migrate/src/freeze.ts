import type { Database } from "better-sqlite3";
import { noteSchema } from "./capture/schema-watch.ts";
import { quoteName } from "./quote.ts";
import { hasOwnObjects, isOwnTable, isOwnTrigger, STATE_TABLE } from "./sqlite/own-objects.ts";
import { readSchema } from "./sqlite/read-schema.ts";

/** What a product sees that still writes to SQLite after the cutover (SQLITE_CONSTRAINT_TRIGGER). */
export const REFUSAL = "lifeboat: moved to Postgres, writes refused";

/** Milliseconds since 1970 in SQL that any SQLite knows: whole seconds would cut a short budget by half. */
const NOW = "(julianday('now') - 2440587.5) * 86400000.0";
/** Of the state's one row, in a trigger too. */
const IN_FORCE = `refused AND (until IS NULL OR until > ${NOW})`;

/** How the product's writes are refused. */
export interface Refusal {
  /** Milliseconds since 1970 at which they are taken again, whether or not anything of Lifeboat lives; null: for good. */
  readonly until: number | null;
  /** That instant has come, so they are taken. */
  readonly isOver: boolean;
}

/**
 * Makes the triggers that refuse writes once they are in force, anew where an earlier version made them. Tables that the migration
 * leaves out are refused too: what is written there then would be lost. Virtual tables take no triggers.
 */
export function makeRefusals(db: Database): void {
  if (!hasDeadline(db)) db.exec(`ALTER TABLE ${STATE_TABLE} ADD COLUMN until`);
  const made = db
    .prepare<[string], string>("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?")
    .pluck();
  readSchema(db).tables.forEach((table, number) => {
    for (const event of ["INSERT", "UPDATE", "DELETE"]) {
      const name = `lifeboat_refuse_${number}_${event.toLowerCase()}`;
      const sql = `CREATE TRIGGER ${name} BEFORE ${event} ON ${quoteName(table.name)} WHEN (SELECT ${IN_FORCE} FROM ${STATE_TABLE}) BEGIN SELECT RAISE(ABORT, '${REFUSAL}'); END`;
      if (made.get(name) === sql) continue;
      db.exec(`DROP TRIGGER IF EXISTS ${name}`);
      db.exec(sql);
    }
  });
  // Our own triggers are no change of the product's schema.
  noteSchema(db);
}

/**
 * Refuses every write to the product's tables from the commit of the caller's transaction (BEGIN IMMEDIATE) on, by the triggers that were made; no
 * schema is made. May be called again.
 * @param until see {@link Refusal}
 */
export function putInForce(db: Database, until: number | null): void {
  db.prepare(`UPDATE ${STATE_TABLE} SET refused = 1, until = ?`).run(until);
}

/**
 * Leaves them in force for good, in the caller's transaction (BEGIN IMMEDIATE).
 * @returns false where they are not the ones that were put in force until this instant: another run has been at work
 */
export function refuseForGood(db: Database, until: number): boolean {
  return (
    db.prepare(`UPDATE ${STATE_TABLE} SET until = NULL WHERE refused = 1 AND until = ?`).run(until)
      .changes === 1
  );
}

/** How the product's writes are refused; null where they are taken, and were not refused until just now. */
export function refusalOf(db: Database): Refusal | null {
  if (!hasOwnObjects(db)) return null;
  const columns = hasDeadline(db) ? `until, NOT (${IN_FORCE}) AS over` : "NULL AS until, 0 AS over";
  const row = db
    .prepare<[], { until: bigint | number | null; over: bigint | number }>(
      `SELECT ${columns} FROM ${STATE_TABLE} WHERE refused = 1`,
    )
    .get();
  if (!row) return null;
  return { until: row.until === null ? null : Number(row.until), isOver: Number(row.over) === 1 };
}

/** Whether the product's writes are refused now. */
export function refusesWrites(db: Database): boolean {
  return refusalOf(db)?.isOver === false;
}

/** A version that knew no deadline has made the state without. */
function hasDeadline(db: Database): boolean {
  const sql = `SELECT 1 FROM pragma_table_info('${STATE_TABLE}') WHERE name = 'until'`;
  return db.prepare(sql).get() !== undefined;
}

/** Takes away the triggers that log writes; the refusals stay. In the caller's transaction. */
export function removeCapture(db: Database): void {
  const triggers = db
    .prepare<[], string>(
      "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND (name GLOB 'lifeboat_capture_*' OR name GLOB 'lifeboat_replace_*')",
    )
    .pluck()
    .all();
  for (const name of triggers.filter(isOwnTrigger)) db.exec(`DROP TRIGGER ${quoteName(name)}`);
}

/** Takes the product's writes again, with the commit of the caller's transaction. */
export function allowWrites(db: Database): void {
  db.exec(`UPDATE ${STATE_TABLE} SET refused = 0${hasDeadline(db) ? ", until = NULL" : ""}`);
}

/** Removes all that Lifeboat made in the database, in the caller's transaction; a `lifeboat_…` of the product's stays. */
export function removeTraces(db: Database): void {
  if (!hasOwnObjects(db)) return;
  const objects = db
    .prepare<[], { type: "table" | "trigger"; name: string }>(
      "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'trigger') ORDER BY type = 'table'",
    )
    .all();
  for (const { type, name } of objects)
    if (type === "table" ? isOwnTable(name) : isOwnTrigger(name))
      db.exec(`DROP ${type} ${quoteName(name)}`);
}
