import type { Client } from "pg";

/** One object of the target as the server itself describes it. */
export interface CatalogItem {
  readonly kind: "column" | "constraint" | "index" | "view";
  /** The table that it belongs to; of a view, itself. */
  readonly relation: string;
  readonly name: string;
  readonly definition: string;
  /** Of a column: its type alone. */
  readonly type: string | null;
}

/** What a load left, kept with its journal so that verify can tell a change of any of it. */
export interface Catalog {
  /** Another major version may describe the same object in other words. */
  readonly major: number;
  readonly items: readonly CatalogItem[];
}

const RELATIONS = "c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)";

const COLUMNS = `
  SELECT 'column' AS kind, c.relname AS relation, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
           CASE WHEN a.attgenerated = '' THEN 'DEFAULT' ELSE 'GENERATED ' || a.attgenerated::text END || ' ' || pg_get_expr(d.adbin, d.adrelid),
           'IDENTITY ' || nullif(a.attidentity::text, '') || ' INCREMENT ' || s.seqincrement || ' MAXVALUE ' || s.seqmax) AS definition
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    LEFT JOIN pg_depend o ON o.refclassid = 'pg_class'::regclass AND o.refobjid = c.oid AND o.refobjsubid = a.attnum
         AND o.classid = 'pg_class'::regclass AND o.deptype = 'i' AND a.attidentity <> ''
    LEFT JOIN pg_sequence s ON s.seqrelid = o.objid
   WHERE c.relkind IN ('r', 'p') AND ${RELATIONS}`;

/** Validity is looked at apart: to validate what a load left NOT VALID is no fault. */
const CONSTRAINTS = `
  SELECT 'constraint', c.relname, k.conname, NULL,
         regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')
         || CASE WHEN EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O') THEN ' DISABLED' ELSE '' END
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
   WHERE k.contype IN ('p', 'u', 'f', 'c') AND ${RELATIONS}`;

const INDEXES = `
  SELECT 'index', c.relname, x.relname, NULL, pg_get_indexdef(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
   WHERE NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
     AND c.relkind IN ('r', 'p') AND ${RELATIONS}`;

const VIEWS = `
  SELECT 'view', c.relname, c.relname, NULL, pg_get_viewdef(c.oid) FROM pg_class c
   WHERE c.relkind = 'v' AND ${RELATIONS}`;

/** Reads the columns, constraints, indexes and views of one schema. */
export async function readCatalog(client: Client, schema: string): Promise<Catalog> {
  const { rows } = await client.query<CatalogItem>(
    [COLUMNS, CONSTRAINTS, INDEXES, VIEWS].join(" UNION ALL "),
    [schema],
  );
  const version = await client.query<{ number: string }>(
    "SELECT current_setting('server_version_num') AS number",
  );
  return { major: Math.floor(Number(version.rows[0]?.number) / 10_000), items: rows };
}
