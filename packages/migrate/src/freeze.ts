import type { Database } from "better-sqlite3";
import { noteSchema } from "./capture/schema-watch.ts";
import { quoteName } from "./quote.ts";
import { hasOwnObjects, isOwnTable, isOwnTrigger, STATE_TABLE } from "./sqlite/own-objects.ts";
import { readSchema } from "./sqlite/read-schema.ts";

/** What a product sees that still writes to SQLite after the cutover (SQLITE_CONSTRAINT_TRIGGER). */
export const REFUSAL = "lifeboat: moved to Postgres, writes refused";

/**
 * Refuses every write to the product's tables, with the commit of the caller's transaction (BEGIN IMMEDIATE). May be called
 * again.
 */
export function refuseWrites(db: Database): void {
  makeRefusals(db);
  db.exec(`UPDATE ${STATE_TABLE} SET refused = 1`);
}

/**
 * Makes the triggers that refuse writes once they are in force. Tables that the migration leaves out are refused too: what
 * is written there then would be lost. Virtual tables take no triggers.
 */
export function makeRefusals(db: Database): void {
  readSchema(db).tables.forEach(({ name }, number) => {
    for (const event of ["INSERT", "UPDATE", "DELETE"])
      db.exec(
        `CREATE TRIGGER IF NOT EXISTS lifeboat_refuse_${number}_${event.toLowerCase()} BEFORE ${event} ON ${quoteName(name)}
         WHEN (SELECT refused FROM ${STATE_TABLE}) BEGIN SELECT RAISE(ABORT, '${REFUSAL}'); END`,
      );
  });
  // Our own triggers are no change of the product's schema.
  noteSchema(db);
}

/** Whether the product's writes are refused. */
export function refusesWrites(db: Database): boolean {
  if (!hasOwnObjects(db)) return false;
  return Number(db.prepare(`SELECT refused FROM ${STATE_TABLE}`).pluck().get()) === 1;
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
  db.exec(`UPDATE ${STATE_TABLE} SET refused = 0`);
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
