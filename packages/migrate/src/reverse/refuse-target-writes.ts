import type { Client } from "pg";
import { qualified, targetTables } from "../ddl.ts";
import type { MigrationPlan } from "../plan.ts";
import { quoteText } from "../quote.ts";
import { OWN_SESSION } from "../target/connect.ts";
import { holdTables, type TableLock } from "../target/hold-tables.ts";

/** What a late writer is told. */
export const MOVED_BACK = "lifeboat: moved back to SQLite, writes refused";
/** Its SQLSTATE, of a class that the server itself does not use. */
export const MOVED_BACK_CODE = "LB001";

/** The trigger that refuses. */
export const REFUSAL_TRIGGER = "lifeboat_refuse";

export interface WriterLock {
  readonly client: Client;
  readonly plan: MigrationPlan;
  /** How long transactions that have written may take to end. */
  readonly patienceSeconds: number;
  readonly signal: AbortSignal;
}

/**
 * Refuses every write to the planned tables from its commit on, but those of Lifeboat's own sessions. Nobody waits longer than it takes to
 * make the triggers. It may be called again.
 * @returns seconds from asking for the lock to the commit
 */
export async function refuseTargetWrites(lock: WriterLock): Promise<number> {
  const { client, plan } = lock;
  await client.query(`
    CREATE OR REPLACE FUNCTION lifeboat.refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
    ${quoteText(`BEGIN
      IF current_setting(${quoteText(OWN_SESSION)}, true) = 'on' THEN RETURN NULL; END IF;
      RAISE EXCEPTION USING MESSAGE = ${quoteText(MOVED_BACK)}, ERRCODE = '${MOVED_BACK_CODE}',
      HINT = 'connect to the SQLite database again'; END`)}`);
  const triggers = plan.tables.map((table) => {
    const relation = qualified(plan.schema, table.target);
    return `CREATE OR REPLACE TRIGGER ${REFUSAL_TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${relation}
        FOR EACH STATEMENT EXECUTE FUNCTION lifeboat.refuse();
      ALTER TABLE ${relation} ENABLE ALWAYS TRIGGER ${REFUSAL_TRIGGER};`;
  });
  const asked = await holdTables(writersOut(lock));
  await client.query(`${triggers.join("\n")} COMMIT`);
  return (performance.now() - asked) / 1000;
}

/** Keeps writers out of every planned table, and lets readers in. */
export function writersOut({ plan, ...lock }: WriterLock): TableLock {
  const relations = targetTables(plan);
  return { ...lock, relations, mode: "SHARE ROW EXCLUSIVE" };
}

/**
 * Lets the product write to Postgres again. What refused stays there, out of force, until {@link removeRefusals}: taking it away would wait for
 * every reader, and keep new ones out meanwhile, where DISABLE TRIGGER waits for writers alone, of which there are none (manual, "ALTER TABLE").
 */
export async function allowTargetWrites(client: Client, plan: MigrationPlan): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT name FROM unnest($1::text[]) AS name WHERE EXISTS
       (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(name) AND tgname = '${REFUSAL_TRIGGER}' AND tgenabled <> 'D')`,
    [targetTables(plan)],
  );
  const allowed = rows.map(({ name }) => `ALTER TABLE ${name} DISABLE TRIGGER ${REFUSAL_TRIGGER}`);
  if (allowed.length > 0) await client.query(allowed.join("; "));
}

/** Takes away what refuses the product's writes, for a caller that holds the tables. What is not there is no fault. */
export async function removeRefusals(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables) {
    const relation = qualified(plan.schema, table.target);
    await client.query(`DROP TRIGGER IF EXISTS ${REFUSAL_TRIGGER} ON ${relation}`);
  }
  await client.query("DROP FUNCTION IF EXISTS lifeboat.refuse()");
}
