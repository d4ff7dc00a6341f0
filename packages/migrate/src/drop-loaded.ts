import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { qualified } from "./ddl.ts";
import type { MigrationPlan } from "./plan.ts";
import { countChanges } from "./reverse/change-reader.ts";
import { REFUSAL_TRIGGER } from "./reverse/refuse-target-writes.ts";
import type { JournalEntry } from "./target/journal.ts";

/**
 * Drops the tables and views that a load has made, in the caller's transaction. Never by CASCADE: what somebody else has made on top of them must be
 * seen first.
 */
export async function dropLoaded(client: Client, { schema, tables, views }: MigrationPlan) {
  const list = (names: readonly { readonly target: string }[]) =>
    names.map(({ target }) => qualified(schema, target)).join(", ");
  if (views.length > 0) await client.query(`DROP VIEW IF EXISTS ${list(views)}`);
  if (tables.length > 0) await client.query(`DROP TABLE IF EXISTS ${list(tables)}`);
}

/**
 * Whether what was loaded may go at the end of a migration, by what the journal says: only where the product is back in SQLite.
 * @throws LifeboatError `POSTGRES_IS_LIVE`, `LOADED_LEFT` (refused)
 */
export function assertMayDrop({ phase, details }: JournalEntry): void {
  const isBack = phase === "rolled-back" || (phase === "finished" && details.live === "sqlite");
  if (!isBack)
    throw refused(
      "POSTGRES_IS_LIVE",
      "the product lives in Postgres, in the very tables that --drop-loaded would drop; nothing was changed",
      "run lifeboat migrate finish without --drop-loaded; or lifeboat migrate rollback first, which takes the product back to SQLite",
    );
  if (phase === "finished" && details.dropped !== true)
    throw refused(
      "LOADED_LEFT",
      "an earlier finish has left the loaded tables to Postgres: whoever writes there since must not lose them",
      "run lifeboat migrate finish without --drop-loaded, and drop by hand what nobody needs",
    );
}

/**
 * The same by what lies in Postgres, once nobody can write there. It has refused writes since the rollback, so a change that SQLite lacks, or a table
 * without the trigger that refuses them, is somebody's work since.
 * @param followed the snapshot of Postgres that SQLite holds
 * @throws LifeboatError `LOADED_CHANGED` (refused)
 */
export async function assertUntouchedSince(
  client: Client,
  { schema, tables }: MigrationPlan,
  followed: string,
): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT n.nspname || '.' || c.relname AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name) AND NOT EXISTS
       (SELECT 1 FROM pg_trigger WHERE tgrelid = c.oid AND tgname = '${REFUSAL_TRIGGER}' AND tgenabled <> 'D')
     ORDER BY name`,
    [tables.map(({ target }) => qualified(schema, target))],
  );
  const changes = await countChanges(client, followed);
  if (rows.length === 0 && changes === 0) return;
  const what =
    rows.length > 0
      ? `${rows.map(({ name }) => name).join(", ")} took writes, or came anew`
      : `Postgres holds ${changes} changes that SQLite lacks`;
  throw refused(
    "LOADED_CHANGED",
    `${what} since the rollback, so what was loaded is not dropped; nothing was changed`,
    "look at what was written there; then run lifeboat migrate finish without --drop-loaded, and drop by hand what nobody needs",
  );
}

function refused(code: string, message: string, remedy: string): LifeboatError {
  return new LifeboatError({ code, kind: "refused", message, remedy });
}
