import { qualified } from "../ddl.ts";
import type { MigrationPlan } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { type AskedRole, type Lack, TABLE_RIGHTS } from "./asked-role.ts";

/** So many tables are named in a sentence; the statements name all. */
const NAMED = 5;

/** What the product's role lacks of tables that are there, by the server's own `has_…_privilege` functions: whatever gives a right counts. */
export async function rightsOfTables(asked: AskedRole, plan: MigrationPlan): Promise<Lack> {
  const { schema } = plan;
  const to = `TO ${quoteName(asked.role)}`;
  const list = (names: readonly string[]) =>
    names.map((name) => qualified(schema, name)).join(", ");
  const mayUse = await mayUseSchema(asked, schema);
  const tables = await lackingTables(asked, plan);
  const sequences = await lackingSequences(asked, plan);
  const all = sequences.map(({ name }) => name);
  const called = sequences.filter(({ isIdentity }) => !isIdentity).map(({ name }) => name);
  return {
    lacking: [
      ...(mayUse ? [] : [`USAGE of schema ${schema}`]),
      ...tables.map(({ rights, names }) => `${rights} on ${few(names)}`),
      ...(called.length > 0 ? [`USAGE of sequence ${few(called)}`] : []),
    ],
    sequences: sequences.filter(({ isIdentity }) => isIdentity).map(({ name }) => name),
    grants: [
      ...(mayUse ? [] : [`GRANT USAGE ON SCHEMA ${quoteName(schema)} ${to}`]),
      ...tables.map(({ rights, names }) => `GRANT ${rights} ON ${list(names)} ${to}`),
      ...(all.length > 0 ? [`GRANT USAGE, SELECT ON SEQUENCE ${list(all)} ${to}`] : []),
    ],
  };
}

function few(names: readonly string[]): string {
  const more = names.length - NAMED;
  return `${names.slice(0, NAMED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

async function mayUseSchema({ client, oid }: AskedRole, schema: string): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(
    "SELECT has_schema_privilege($1::oid, oid, 'USAGE') AS may FROM pg_namespace WHERE nspname = $2",
    [oid, schema],
  );
  return rows[0]?.may === true;
}

interface LackingTables {
  readonly rights: string;
  readonly names: readonly string[];
}

/** Views are only read. A table that is gone is none of this. */
async function lackingTables(
  { client, oid }: AskedRole,
  { schema, tables, views }: MigrationPlan,
): Promise<LackingTables[]> {
  const { rows } = await client.query<{ name: string; rights: string }>(
    `SELECT c.relname AS name, string_agg(r.name, ', ' ORDER BY r.at) AS rights
       FROM pg_class c, unnest($4::text[]) WITH ORDINALITY AS r(name, at)
      WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2) AND c.relname = ANY ($3)
        AND (c.relkind IN ('r', 'p') OR r.name = 'SELECT') AND NOT has_table_privilege($1::oid, c.oid, r.name)
      GROUP BY c.relname ORDER BY c.relname`,
    [oid, schema, [...tables, ...views].map(({ target }) => target), [...TABLE_RIGHTS]],
  );
  const byRights = Map.groupBy(rows, ({ rights }) => rights);
  return [...byRights].map(([rights, all]) => ({ rights, names: all.map(({ name }) => name) }));
}

/**
 * UPDATE lets nextval pass as USAGE does (manual, "Sequence Manipulation Functions"). The sequence behind an identity is asked by the server itself,
 * without a look at rights; one that a column's default calls is not.
 */
async function lackingSequences(
  { client, oid }: AskedRole,
  { schema, tables }: MigrationPlan,
): Promise<{ name: string; isIdentity: boolean }[]> {
  const { rows } = await client.query<{ name: string; isIdentity: boolean }>(
    `SELECT s.relname AS name, d.deptype = 'i' AS "isIdentity"
       FROM pg_class s
       JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.objsubid = 0
            AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
       JOIN pg_class c ON c.oid = d.refobjid
      WHERE c.relname = ANY ($3) AND s.relnamespace = c.relnamespace
        AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2)
        AND CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege($1::oid, s.oid, 'USAGE, UPDATE') ELSE false END
      ORDER BY s.relname`,
    [oid, schema, tables.map(({ target }) => target)],
  );
  return rows;
}
