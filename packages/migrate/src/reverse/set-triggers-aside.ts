import type { Database } from "better-sqlite3";
import { quoteName } from "../quote.ts";
import { isOwnTrigger } from "../sqlite/own-objects.ts";
import { type SqliteSchema, sameName } from "../sqlite/schema.ts";
import { feedingPart } from "./feeding-part.ts";

interface TriggerRow {
  readonly name: string;
  readonly table: string;
  readonly sql: string;
}

/**
 * Takes the product's triggers on some tables away for the rest of the transaction, except for what they write to
 * virtual tables. What else they do to rows Postgres has done in its own way, or has not: done here, it
 * would be done twice. An index, though, lives in SQLite alone and must follow.
 * @returns puts them back as they were, to be called before the commit
 */
export function setTriggersAside(
  db: Database,
  schema: SqliteSchema,
  tables: readonly string[],
): () => void {
  const virtual = schema.virtualTables.map((one) => one.name);
  const triggers = db
    .prepare<[], TriggerRow>(
      `SELECT name, tbl_name AS "table", sql FROM sqlite_schema
       WHERE type = 'trigger' ORDER BY rowid`,
    )
    .all()
    .filter(({ name }) => !isOwnTrigger(name))
    .filter((trigger) => tables.some((name) => sameName(name, trigger.table)));
  const feeding: string[] = [];
  for (const [position, trigger] of triggers.entries()) {
    db.exec(`DROP TRIGGER ${quoteName(trigger.name)}`);
    const name = `lifeboat_feed_${position}`;
    const part = feedingPart(trigger.sql, name, virtual);
    if (part === null) continue;
    db.exec(part);
    feeding.push(name);
  }
  return () => {
    for (const name of feeding) db.exec(`DROP TRIGGER ${name}`);
    for (const trigger of triggers) db.exec(trigger.sql);
  };
}
