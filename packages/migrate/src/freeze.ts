import type { Database } from "better-sqlite3";
import { noteSchema } from "./capture/schema-watch.ts";
import { quoteName } from "./quote.ts";
import { hasOwnObjects, isOwnTable, isOwnTrigger, STATE_TABLE } from "./sqlite/own-objects.ts";
import { readSchema } from "./sqlite/read-schema.ts";

/** What a product sees that still writes to SQLite after the cutover (SQLITE_CONSTRAINT_TRIGGER). */
export const REFUSAL = "lifeboat: moved to Postgres, writes refused";

/**
 * Refuses every write to the product's tables, with the commit of the caller's transaction (BEGIN IMMEDIATE). Tables that the
 * migration leaves out are refused too: what is written there now would be lost. Virtual tables take no triggers.
 * May be called again.
 */
export function refuseWrites(db: Database): void {
  readSchema(db).tables.forEach(({ name }, number) => {
    for (const event of ["INSERT", "UPDATE", "DELETE"])
      db.exec(
        `CREATE TRIGGER IF NOT EXISTS lifeboat_refuse_${number}_${event.toLowerCase()} BEFORE ${event} ON ${quoteName(name)}
         WHEN (SELECT refused FROM ${STATE_TABLE}) BEGIN SELECT RAISE(ABORT, '${REFUSAL}'); END`,
      );
  });
  db.exec(`UPDATE ${STATE_TABLE} SET refused = 1`);
  // Our own triggers are no change of the product's schema.
  noteSchema(db);
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
