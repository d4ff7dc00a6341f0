import { setTimeout as sleep } from "node:timers/promises";
import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { qualified } from "../ddl.ts";
import type { MigrationPlan } from "../plan.ts";
import { quoteText } from "../quote.ts";
import { OWN_SESSION } from "../target/connect.ts";

/** What a late writer is told. */
export const MOVED_BACK = "lifeboat: moved back to SQLite, writes refused";
/** Its SQLSTATE, of a class that the server itself does not use. */
export const MOVED_BACK_CODE = "LB001";

const TRIGGER = "lifeboat_refuse";
/** Below deadlock_timeout, so that where both wait for each other it is we who give way, never the product. */
const LOCK_TIMEOUT_MS = 500;
const PAUSE_MS = 250;
/** lock_not_available and deadlock_detected: manual, appendix A. */
const TRY_AGAIN = new Set(["55P03", "40P01"]);

export interface TableLock {
  readonly client: Client;
  readonly plan: MigrationPlan;
  /** How long transactions that have written may take to end. */
  readonly patienceSeconds: number;
  readonly signal: AbortSignal;
}

/**
 * Begins a transaction that holds every planned table still: it waits for those that have written to end, and
 * keeps new ones from writing until the caller commits. Reads go on.
 * @returns when the lock was asked for that was given, as of `performance.now()`
 * @throws LifeboatError `WRITERS_BUSY` when a transaction does not end in time; nothing is held then
 */
export async function holdTables(lock: TableLock): Promise<number> {
  const { client, plan, signal } = lock;
  const tables = plan.tables.map((table) => qualified(plan.schema, table.target));
  const end = performance.now() + lock.patienceSeconds * 1000;
  for (;;) {
    signal.throwIfAborted();
    const asked = performance.now();
    try {
      await client.query(
        `BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS};
         ${tables.length > 0 ? `LOCK TABLE ${tables.join(", ")} IN SHARE ROW EXCLUSIVE MODE` : ""}`,
      );
      return asked;
    } catch (cause) {
      await client.query("ROLLBACK");
      if (!TRY_AGAIN.has((cause as { code?: string }).code ?? "")) throw cause;
      if (performance.now() > end) throw busy(lock.patienceSeconds, cause);
    }
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

/**
 * Refuses every write to the planned tables from its commit on, but those of Lifeboat's own sessions. Nobody waits longer than it takes to
 * make the triggers. It may be called again.
 * @returns seconds from asking for the lock to the commit
 */
export async function refuseTargetWrites(lock: TableLock): Promise<number> {
  const { client, plan } = lock;
  await client.query(`
    CREATE OR REPLACE FUNCTION lifeboat.refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
    ${quoteText(`BEGIN
      IF current_setting(${quoteText(OWN_SESSION)}, true) = 'on' THEN RETURN NULL; END IF;
      RAISE EXCEPTION USING MESSAGE = ${quoteText(MOVED_BACK)}, ERRCODE = '${MOVED_BACK_CODE}',
      HINT = 'connect to the SQLite database again'; END`)}`);
  const triggers = plan.tables.map((table) => {
    const relation = qualified(plan.schema, table.target);
    return `CREATE OR REPLACE TRIGGER ${TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${relation}
        FOR EACH STATEMENT EXECUTE FUNCTION lifeboat.refuse();
      ALTER TABLE ${relation} ENABLE ALWAYS TRIGGER ${TRIGGER};`;
  });
  const asked = await holdTables(lock);
  await client.query(`${triggers.join("\n")} COMMIT`);
  return (performance.now() - asked) / 1000;
}

/** Lets the product write to Postgres again. What is not there is no fault. */
export async function allowTargetWrites(client: Client, plan: MigrationPlan): Promise<void> {
  for (const table of plan.tables) {
    const relation = qualified(plan.schema, table.target);
    await client.query(`DROP TRIGGER IF EXISTS ${TRIGGER} ON ${relation}`);
  }
  await client.query("DROP FUNCTION IF EXISTS lifeboat.refuse()");
}

function busy(seconds: number, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "WRITERS_BUSY",
    message: `a transaction that has written to Postgres did not end within ${seconds} s; nothing was refused`,
    remedy:
      "end it (select pid, query from pg_stat_activity where state <> 'idle' order by xact_start), then run this again",
    cause,
  });
}
