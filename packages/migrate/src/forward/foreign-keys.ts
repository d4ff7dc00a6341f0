import type { Client } from "pg";
import { qualified } from "../ddl.ts";
import { runDdl } from "../load/run-ddl.ts";
import type { MigrationPlan } from "../plan.ts";
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

/** Drops the foreign keys for as long as changes are applied. The caller notes it, in the same transaction. */
export async function setForeignKeysAside(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables)
    for (const one of table.constraints)
      if (one.kind === "foreign-key")
        await client.query(
          `ALTER TABLE ${qualified(plan.schema, table.target)} DROP CONSTRAINT IF EXISTS ${quoteName(one.name)}`,
        );
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

/** The validated foreign keys whose rows have no parent: what SQLite allows while `foreign_keys` is off. */
export async function brokenForeignKeys(
  client: Client,
  plan: MigrationPlan,
): Promise<{ readonly table: string; readonly constraint: string; readonly count: number }[]> {
  const broken = [];
  const { rows } = await client.query<Reference>(REFERENCES, [plan.schema]);
  for (const one of rows) {
    const planned = plan.tables.find(({ target }) => target === one.child);
    const constraint = planned?.constraints.find(({ name }) => name === one.name);
    if (!planned || !constraint?.validated) continue;
    const child = (name: string) => `c.${quoteName(name)}`;
    const equal = one.columns.map(
      (name, at) => `p.${quoteName(one.keys[at] ?? "")} = ${child(name)}`,
    );
    const found = await client.query<{ count: string }>(
      `SELECT count(*) AS count FROM ${qualified(plan.schema, one.child)} AS c
       WHERE ${one.columns.map((name) => `${child(name)} IS NOT NULL`).join(" AND ")}
         AND NOT EXISTS (SELECT 1 FROM ${qualified(one.parentSchema, one.parent)} AS p WHERE ${equal.join(" AND ")})`,
    );
    const count = Number(found.rows[0]?.count);
    if (count > 0) broken.push({ table: planned.name, constraint: one.name, count });
  }
  return broken;
}

interface Reference {
  readonly name: string;
  readonly child: string;
  readonly parentSchema: string;
  readonly parent: string;
  readonly columns: readonly string[];
  readonly keys: readonly string[];
}

const REFERENCES = `
  SELECT k.conname AS name, c.relname AS child, n.nspname AS "parentSchema", p.relname AS parent,
         ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(num, at)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.at) AS columns,
         ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(num, at)
               JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.at) AS keys
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
   WHERE k.contype = 'f' AND c.relnamespace = to_regnamespace(quote_ident($1))`;
