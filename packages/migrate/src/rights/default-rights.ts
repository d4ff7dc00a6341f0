import { quoteName } from "../quote.ts";
import { type AskedRole, type Lack, TABLE_RIGHTS } from "./asked-role.ts";

/** What stands for the tables and sequences that are not there yet. */
const ALL = { tables: "the tables that a load makes", sequences: "those of the tables" };

interface DefaultRow {
  readonly loader: string;
  /** Null where the schema is not there yet. */
  readonly schema: string | null;
  readonly mayUse: boolean;
  readonly table: string | null;
  readonly sequence: boolean;
}

/**
 * What the product's role may do with tables that this connection would make: as its own, as one that inherits from whoever loads, as one that may read and
 * write everything, or by ALTER DEFAULT PRIVILEGES. Nothing is made to find that out.
 */
export async function rightsOfALoad(asked: AskedRole, schema: string): Promise<Lack> {
  const { client, oid, role } = asked;
  const { rows } = await client.query<DefaultRow>(
    `WITH given AS (
       SELECT d.defaclobjtype AS kind, a.privilege_type AS name
         FROM pg_default_acl d, aclexplode(d.defaclacl) AS a
        WHERE d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
          AND d.defaclnamespace IN (SELECT 0 UNION ALL SELECT oid FROM pg_namespace WHERE nspname = $2)
          AND CASE a.grantee WHEN 0 THEN true ELSE pg_has_role($1::oid, a.grantee, 'USAGE') END
       UNION ALL SELECT 'r', 'SELECT' WHERE pg_has_role($1::oid, 'pg_read_all_data', 'USAGE')
       UNION ALL SELECT 'r', unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) WHERE pg_has_role($1::oid, 'pg_write_all_data', 'USAGE')
       UNION ALL SELECT 'S', 'UPDATE' WHERE pg_has_role($1::oid, 'pg_write_all_data', 'USAGE')
       UNION ALL SELECT 'n', 'USAGE' WHERE pg_has_role($1::oid, 'pg_read_all_data', 'USAGE'))
     SELECT current_user AS loader, n.nspname AS schema,
       CASE WHEN n.oid IS NULL THEN owns.all OR EXISTS (SELECT 1 FROM given WHERE kind = 'n' AND name = 'USAGE')
            ELSE has_schema_privilege($1::oid, n.oid, 'USAGE') END AS "mayUse",
       (SELECT string_agg(r.name, ', ' ORDER BY r.at) FROM unnest($3::text[]) WITH ORDINALITY AS r(name, at)
         WHERE NOT owns.all AND NOT EXISTS (SELECT 1 FROM given WHERE kind = 'r' AND given.name = r.name)) AS "table",
       owns.all OR EXISTS (SELECT 1 FROM given WHERE kind = 'S' AND name IN ('USAGE', 'UPDATE')) AS "sequence"
     FROM (SELECT pg_has_role($1::oid, current_user, 'USAGE') AS "all") AS owns
     LEFT JOIN pg_namespace n ON n.nspname = $2`,
    [oid, schema, [...TABLE_RIGHTS]],
  );
  const [row] = rows;
  if (!row) throw new Error("the server answered nothing");
  const name = quoteName(schema);
  const to = `TO ${quoteName(role)}`;
  const defaults = `ALTER DEFAULT PRIVILEGES FOR ROLE ${quoteName(row.loader)} IN SCHEMA ${name} GRANT`;
  return {
    lacking: [
      ...(row.mayUse ? [] : [`USAGE of schema ${schema}`]),
      ...(row.table === null ? [] : [`${row.table} on ${ALL.tables}`]),
    ],
    sequences: row.sequence ? [] : [ALL.sequences],
    grants: [
      ...(row.schema === null && (!row.mayUse || row.table !== null || !row.sequence)
        ? [`CREATE SCHEMA ${name}`]
        : []),
      ...(row.mayUse ? [] : [`GRANT USAGE ON SCHEMA ${name} ${to}`]),
      ...(row.table === null ? [] : [`${defaults} ${row.table} ON TABLES ${to}`]),
      ...(row.sequence ? [] : [`${defaults} USAGE, SELECT ON SEQUENCES ${to}`]),
    ],
  };
}
