import type { Client } from "pg";
import { qualified } from "../ddl.ts";
import { finding, type MigrationFinding } from "../finding.ts";
import type { PlannedTable } from "../plan.ts";

/** Looks for the constraints, indexes and sequences of a plan in the target, and names each that is not as planned. */
export async function compareCatalog(
  client: Client,
  schema: string,
  table: PlannedTable,
): Promise<MigrationFinding[]> {
  const relation = qualified(schema, table.target);
  const constraints = await present(
    client,
    "SELECT conname AS name, convalidated AS valid FROM pg_constraint WHERE conrelid = to_regclass($1)",
    relation,
  );
  const indexes = await present(
    client,
    `SELECT c.relname AS name, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = to_regclass($1)`,
    relation,
  );
  const missing = (kind: string, name: string, what: string) =>
    finding({
      id: `${kind}-differs`,
      severity: "error",
      table: table.name,
      column: name,
      summary: `${kind} ${name} of ${table.name} ${what} in Postgres`,
    });
  const findings: MigrationFinding[] = [];
  for (const one of table.constraints) {
    const valid = constraints.get(one.name);
    if (valid === undefined) findings.push(missing("constraint", one.name, "is missing"));
    else if (one.validated && !valid)
      findings.push(missing("constraint", one.name, "is not validated"));
  }
  for (const one of table.indexes) {
    const valid = indexes.get(one.name);
    if (valid === undefined) findings.push(missing("index", one.name, "is missing"));
    else if (!valid) findings.push(missing("index", one.name, "is not valid"));
  }
  if (table.identity && !(await isAhead(client, relation, table.identity)))
    findings.push(
      missing(
        "sequence",
        table.identity.column,
        `would give out ids up to ${table.identity.last} again`,
      ),
    );
  return findings;
}

async function present(
  client: Client,
  sql: string,
  relation: string,
): Promise<ReadonlyMap<string, boolean>> {
  const { rows } = await client.query<{ name: string; valid: boolean }>(sql, [relation]);
  return new Map(rows.map((row) => [row.name, row.valid]));
}

/** Also where the column is gone, which others name. */
async function isAhead(
  client: Client,
  relation: string,
  identity: { readonly column: string; readonly last: string },
): Promise<boolean> {
  const found = await client.query<{ sequence: string | null }>(
    `SELECT pg_get_serial_sequence($1, $2) AS sequence FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped`,
    [relation, identity.column],
  );
  const [column] = found.rows;
  if (!column) return true;
  const { sequence } = column;
  if (!sequence) return false;
  const { rows } = await client.query<{ next: string }>(
    `SELECT (last_value::numeric + CASE WHEN is_called THEN 1 ELSE 0 END)::text AS next FROM ${sequence}`,
  );
  return BigInt(rows[0]?.next ?? 0) > BigInt(identity.last);
}
