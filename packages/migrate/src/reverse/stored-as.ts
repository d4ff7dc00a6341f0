import type { Client } from "pg";
import type { MigrationPlan } from "../plan.ts";

/** By table: in which file its rows lie, and in which order its columns came to be. */
export type StoredAs = Readonly<Record<string, string>>;

const STORED = `
  SELECT c.relname AS relation,
         c.relfilenode || ': ' || string_agg(a.attnum || ' ' || a.attname, ', ' ORDER BY a.attnum) AS stored
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
    JOIN unnest($2::text[], $3::text[]) AS planned(relation, name) ON planned.relation = c.relname AND planned.name = a.attname
   WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relkind IN ('r', 'p') GROUP BY c.relname, c.relfilenode`;

/** How the planned tables are stored, as the transaction's snapshot has it. */
export async function storedAs(
  client: Client,
  { schema, tables }: MigrationPlan,
): Promise<StoredAs> {
  const planned = tables.flatMap(({ target, columns }) =>
    columns.map((column) => [target, column.target] as const),
  );
  const [relations, names] = [planned.map(([one]) => one), planned.map(([, one]) => one)];
  const { rows } = await client.query<{ relation: string; stored: string }>(STORED, [
    schema,
    relations,
    names,
  ]);
  return Object.fromEntries(rows.map(({ relation, stored }) => [relation, stored]));
}

/**
 * The tables that were written anew since: ALTER TABLE gives rows other values and fires no trigger, and to a snapshot from before the
 * table is empty (manual, "Caveats" of MVCC). VACUUM FULL and CLUSTER look alike.
 */
export function rewrittenSince(then: StoredAs, now: StoredAs): ReadonlySet<string> {
  return new Set(Object.keys(now).filter((relation) => then[relation] !== now[relation]));
}
