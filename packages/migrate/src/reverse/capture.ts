import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { qualified } from "../ddl.ts";
import type { MigrationPlan } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { holdingTables } from "../target/hold-tables.ts";
import { captureFunction } from "./capture-function.ts";
import { storedAs } from "./stored-as.ts";

/** How long a capture that is not needed any more may wait to be taken away. */
const PATIENCE_SECONDS = 3;

/** One trigger an event, since transition tables of several can't be had in one. */
const TRIGGERS: readonly (readonly [name: string, event: string, tables: string])[] = [
  ["lifeboat_insert", "INSERT", "REFERENCING NEW TABLE AS lifeboat_new"],
  ["lifeboat_update", "UPDATE", "REFERENCING OLD TABLE AS lifeboat_old NEW TABLE AS lifeboat_new"],
  ["lifeboat_delete", "DELETE", "REFERENCING OLD TABLE AS lifeboat_old"],
  ["lifeboat_truncate", "TRUNCATE", ""],
];

/** Their names; any other `lifeboat_…` on a table is the product's. */
export const CAPTURE_TRIGGERS: readonly string[] = TRIGGERS.map(([name]) => name);

/**
 * From the commit of the caller's transaction on, the target keeps what is written to its tables, whether or
 * not anything of Lifeboat runs: which rows, and by which transaction. It may be called again.
 *
 * The triggers are ENABLE ALWAYS: `session_replication_role = replica` passes over all others.
 */
export async function installReverseCapture(client: Client, plan: MigrationPlan): Promise<void> {
  await client.query(`
    CREATE SCHEMA IF NOT EXISTS lifeboat;
    CREATE TABLE IF NOT EXISTS lifeboat.changes (
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
      relation text NOT NULL,
      key text[],
      copies integer
    );
    COMMENT ON TABLE lifeboat.changes IS
      'rows that were written since the cutover, by the values of their key; key NULL: the whole table';
    CREATE INDEX IF NOT EXISTS changes_relation_xid ON lifeboat.changes (relation, xid);
    CREATE TABLE IF NOT EXISTS lifeboat.followed (
      one boolean PRIMARY KEY DEFAULT true CHECK (one),
      batch bigint NOT NULL DEFAULT 0,
      at timestamptz,
      look text,
      look_before text,
      stored json
    );
    COMMENT ON TABLE lifeboat.followed IS
      'the batch of changes that SQLite is known to hold, so that an older copy of its file is told, and by the marks of the last looks an older state of this database';
    INSERT INTO lifeboat.followed DEFAULT VALUES ON CONFLICT DO NOTHING`);
  for (const [position, table] of plan.tables.entries()) {
    const relation = qualified(plan.schema, table.target);
    const name = functionName(position);
    await client.query(captureFunction(name, table));
    await client.query(`REVOKE ALL ON FUNCTION ${name}() FROM PUBLIC`);
    for (const [trigger, event, transition] of TRIGGERS)
      await client.query(
        `CREATE OR REPLACE TRIGGER ${trigger} AFTER ${event} ON ${relation} ${transition}
           FOR EACH STATEMENT EXECUTE FUNCTION ${name}();
         ALTER TABLE ${relation} ENABLE ALWAYS TRIGGER ${trigger}`,
      );
  }
}

/**
 * The same where the product does not write there yet: what a cutover that was broken off, or given back beside a reader, has kept since came from
 * SQLite.
 */
export async function beginReverseCapture(client: Client, plan: MigrationPlan): Promise<void> {
  await installReverseCapture(client, plan);
  await client.query("DELETE FROM lifeboat.changes; DELETE FROM lifeboat.followed");
  await client.query("INSERT INTO lifeboat.followed (stored) VALUES ($1)", [
    JSON.stringify(await storedAs(client, plan)),
  ]);
}

/** Takes the capture away again, and with it what was not followed. What is not there is no fault. */
export async function removeReverseCapture(client: Client, plan: MigrationPlan): Promise<void> {
  for (const [position, table] of plan.tables.entries()) {
    const relation = qualified(plan.schema, table.target);
    const there = await client.query<{ found: boolean }>(
      "SELECT to_regclass($1) IS NOT NULL AS found",
      [relation],
    );
    if (there.rows[0]?.found)
      for (const [trigger] of TRIGGERS)
        await client.query(`DROP TRIGGER IF EXISTS ${quoteName(trigger)} ON ${relation}`);
    await client.query(`DROP FUNCTION IF EXISTS ${functionName(position)}()`);
  }
  await client.query("DROP TABLE IF EXISTS lifeboat.changes, lifeboat.followed");
}

/**
 * The same beside readers, which it would wait for: where they leave it no moment it stays, keeps what nobody asks for, and the next cutover
 * begins it anew.
 */
export async function removeReverseCaptureBeside(
  client: Client,
  plan: MigrationPlan,
): Promise<void> {
  const { signal } = new AbortController();
  const beside = { client, relations: [], patienceSeconds: PATIENCE_SECONDS, signal };
  try {
    await holdingTables({ ...beside, mode: "ACCESS EXCLUSIVE" }, () =>
      removeReverseCapture(client, plan),
    );
    await client.query("COMMIT");
  } catch (cause) {
    if (!(cause instanceof LifeboatError) || cause.code !== "TABLES_IN_USE") throw cause;
  }
}

function functionName(position: number): string {
  return `lifeboat.capture_${position + 1}`;
}
