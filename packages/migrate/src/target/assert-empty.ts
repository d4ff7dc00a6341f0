import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { type JournalEntry, newestEntry } from "./journal.ts";

/**
 * Refuses a schema that holds anything of its own. What extensions brought along does not count.
 * @throws LifeboatError `TARGET_NOT_EMPTY` (refused)
 */
export async function assertEmptyTarget(client: Client, schema: string): Promise<void> {
  const { rows } = await client.query<{ name: string; kind: string }>(
    `SELECT c.relname AS name, c.relkind::text AS kind FROM pg_class c
     WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     UNION ALL
     SELECT t.typname, 't' FROM pg_type t
     WHERE t.typnamespace = to_regnamespace(quote_ident($1)) AND t.typtype IN ('e', 'd', 'r')
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
     ORDER BY 1`,
    [schema],
  );
  if (rows.length === 0) return;
  const entry = await newestEntry(client);
  const names = rows
    .slice(0, 5)
    .map((row) => row.name)
    .join(", ");
  throw new LifeboatError({
    code: "TARGET_NOT_EMPTY",
    kind: "refused",
    message: `schema ${schema} of the target is not empty: it holds ${names}${rows.length > 5 ? ` and ${rows.length - 5} more` : ""}`,
    remedy: remedyOf(entry?.plan.schema === schema ? entry : null),
    details: { schema, objects: rows.length },
  });
}

function remedyOf(entry: JournalEntry | null): string {
  if (entry?.phase === "loaded")
    return `it was loaded at ${entry.finishedAt}: run \`lifeboat migrate verify\`, or \`lifeboat migrate abort --drop-loaded\` to load again`;
  if (entry?.phase === "rolled-back")
    return "the product was taken back from there to SQLite: run `lifeboat migrate finish --drop-loaded`, then load again";
  return "load into an empty database, or set migrate.schema to a schema that is empty";
}
