import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import { qualified } from "../ddl.ts";
import type { MigrationPlan, PlannedTable } from "../plan.ts";
import { quoteName, quoteText } from "../quote.ts";
import { readSchema } from "../sqlite/read-schema.ts";
import { type SqliteSchema, tableNamed } from "../sqlite/schema.ts";

/** Lets Postgres give out ids from where SQLite, which is frozen, has come to; never one that was given out already. */
export async function setSequences(
  client: Client,
  db: Database,
  plan: MigrationPlan,
): Promise<void> {
  const schema = readSchema(db);
  for (const table of plan.tables) {
    const { identity } = table;
    if (!identity) continue;
    const last = lastId(db, schema, table, identity);
    if (last <= 0n) continue;
    await client.query(
      `SELECT setval(pg_get_serial_sequence(${quoteText(qualified(plan.schema, table.target))}, ${quoteText(identity.column)}), ${last}, true)`,
    );
  }
}

function lastId(
  db: Database,
  schema: SqliteSchema,
  table: PlannedTable,
  { column, last }: NonNullable<PlannedTable["identity"]>,
): bigint {
  const source = table.columns.find((one) => one.target === column)?.source ?? column;
  const highest = db
    .prepare<[], bigint | null>(`SELECT max(${quoteName(source)}) FROM ${quoteName(table.name)}`)
    .pluck()
    .get();
  const given = tableNamed(schema, table.name)?.sequence;
  return [highest ?? 0n, given ?? 0n, BigInt(last)].reduce((a, b) => (a > b ? a : b));
}
