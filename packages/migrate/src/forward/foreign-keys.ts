import type { Client } from "pg";
import { foreignKeyParts } from "../constraint-parts.ts";
import { qualified } from "../ddl.ts";
import { runDdl } from "../load/run-ddl.ts";
import type { MigrationPlan, PlannedConstraint } from "../plan.ts";
import { quoteName } from "../quote.ts";

/** "insufficient_privilege": manual, appendix A. */
const DENIED = "42501";

/**
 * Keeps the session from enforcing foreign keys, whose cascades SQLite has done already. Only superusers may, and roles
 * that were given the right (`GRANT SET ON PARAMETER session_replication_role`).
 * @returns whether it may
 */
export async function passOverForeignKeys(client: Client): Promise<boolean> {
  try {
    await client.query("SET session_replication_role = replica");
    return true;
  } catch (cause) {
    if ((cause as { code?: string }).code !== DENIED) throw cause;
    return false;
  }
}

/** Lets the session enforce them again; nothing happens where it did all the time. */
export async function enforceForeignKeys(client: Client): Promise<void> {
  await client.query(
    `DO $$ BEGIN IF current_setting('session_replication_role') = 'replica' THEN
       PERFORM set_config('session_replication_role', 'origin', false); END IF; END $$`,
  );
}

/**
 * Drops the foreign keys for as long as changes are applied. The caller notes it, in the same transaction. A table whose key is gone already is
 * not touched: DROP CONSTRAINT would wait for its readers all the same, also with IF EXISTS.
 */
export async function setForeignKeysAside(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables) {
    const relation = qualified(plan.schema, table.target);
    const names = table.constraints.flatMap((one) => (one.kind === "foreign-key" ? one.name : []));
    const { rows } = await client.query<{ name: string }>(
      "SELECT conname AS name FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname = ANY ($2)",
      [relation, names],
    );
    for (const { name } of rows)
      await client.query(`ALTER TABLE ${relation} DROP CONSTRAINT IF EXISTS ${quoteName(name)}`);
  }
}

/**
 * Makes the foreign keys again that were set aside, and validates them.
 * @throws LifeboatError `TARGET_REFUSED` naming the one that rows break
 */
export async function bringForeignKeysBack(client: Client, plan: MigrationPlan): Promise<void> {
  await setForeignKeysAside(client, plan);
  for (const statement of plan.ddl)
    if (statement.phase === "foreign-keys") await runDdl(client, statement);
}

/** A validated foreign key whose rows have no parent. */
export interface BrokenForeignKey {
  readonly table: string;
  readonly constraint: string;
  readonly count: number;
}

/** What the server would find when it validated them: SQLite allows it while `foreign_keys` is off. */
export async function brokenForeignKeys(
  client: Client,
  plan: MigrationPlan,
): Promise<BrokenForeignKey[]> {
  const broken: BrokenForeignKey[] = [];
  for (const table of plan.tables)
    for (const constraint of table.constraints) {
      if (constraint.kind !== "foreign-key" || !constraint.validated) continue;
      const { rows } = await client.query<{ count: string }>(
        orphansSql(qualified(plan.schema, table.target), constraint),
      );
      const count = Number(rows[0]?.count);
      if (count > 0) broken.push({ table: table.name, constraint: constraint.name, count });
    }
  return broken;
}

function orphansSql(relation: string, constraint: PlannedConstraint): string {
  const { columns, schema, parent, parentColumns } = foreignKeyParts(constraint);
  const child = (name: string) => `c.${quoteName(name)}`;
  const isSet = columns.map((name) => `${child(name)} IS NOT NULL`);
  const same = columns.map(
    (name, at) => `p.${quoteName(parentColumns[at] ?? "")} = ${child(name)}`,
  );
  return `SELECT count(*) AS count FROM ${relation} AS c WHERE ${isSet.join(" AND ")}
    AND NOT EXISTS (SELECT 1 FROM ${qualified(schema, parent)} AS p WHERE ${same.join(" AND ")})`;
}
