import { setTimeout as sleep } from "node:timers/promises";
import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { abandon } from "./abandon.ts";

/** Below deadlock_timeout, so that where both wait for each other it is we who give way, never the product. */
export const LOCK_TIMEOUT_MS = 500;
const PAUSE_MS = 250;
/** lock_not_available and deadlock_detected: manual, appendix A. */
const TRY_AGAIN = new Set(["55P03", "40P01"]);

/** What keeps writers out, and what keeps everybody out (manual, "Table-Level Locks"). */
export type LockMode = "SHARE ROW EXCLUSIVE" | "ACCESS EXCLUSIVE";

/** What a lock of ours meets: a reader's, which only an ACCESS EXCLUSIVE one is in the way of, is taken by reading. */
type Wanted = LockMode | "ACCESS SHARE";

export interface TableLock {
  readonly client: Client;
  /** Qualified names. What is not there, since somebody has dropped it, is not held. */
  readonly relations: readonly string[];
  readonly mode: LockMode;
  /** How long transactions that are in the way may take to end. */
  readonly patienceSeconds: number;
  readonly signal: AbortSignal;
}

/** A lock that is in the way, or, of a reader, somebody's wish for one that came first. */
interface Holder {
  /** Null of a prepared transaction. */
  readonly pid: number | null;
  readonly role: string | null;
  readonly relation: string;
  readonly mode: string;
  readonly granted: boolean;
}

/**
 * Begins a transaction that holds tables still until the caller commits: it waits for transactions in the way to end, and
 * keeps new ones out.
 * @returns when the lock was asked for that was given, as of `performance.now()`
 * @throws LifeboatError `WRITERS_BUSY`, `TABLES_IN_USE` (by the mode) when a transaction does not end in time; nothing is held then
 */
export async function holdTables(lock: TableLock): Promise<number> {
  return holdingTables(lock, async (asked) => asked);
}

/**
 * The same, and does what needs further locks in that transaction; all of it is begun anew where one is not to be had
 * at once. The caller commits; nothing is left of it where the work throws.
 */
export async function holdingTables<Result>(
  lock: TableLock,
  work: (asked: number) => Promise<Result>,
): Promise<Result> {
  const { client, signal } = lock;
  const end = performance.now() + lock.patienceSeconds * 1000;
  for (;;) {
    signal.throwIfAborted();
    let { mode } = lock;
    try {
      await client.query(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
      const there = await presentTables(client, lock.relations);
      const asked = performance.now();
      if (there.length > 0) await client.query(`LOCK TABLE ${there.join(", ")} IN ${mode} MODE`);
      // What the work asks for further is the strongest there is.
      mode = "ACCESS EXCLUSIVE";
      return await work(asked);
    } catch (cause) {
      await abandon(client);
      if (!isLockTaken(cause)) throw cause;
      if (performance.now() > end) throw await tablesBusy({ ...lock, mode }, cause);
    }
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

/** Whether a lock was not to be had within `lock_timeout`, or only by a deadlock. */
export function isLockTaken(cause: unknown): boolean {
  return TRY_AGAIN.has((cause as { code?: string }).code ?? "");
}

/** Those of these tables that are there. */
export async function presentTables(
  client: Client,
  relations: readonly string[],
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL",
    [relations],
  );
  return rows.map(({ name }) => name);
}

/** Who holds the tables, in words; empty where all have just gone. */
export async function holdersInWords(
  lock: Pick<TableLock, "client" | "relations"> & { readonly mode: Wanted },
): Promise<string> {
  return inWords(await holdersOf(lock));
}

function inWords(holders: readonly Holder[]): string {
  return holders
    .map(({ pid, role, relation, mode, granted }) =>
      pid === null
        ? `a prepared transaction holds ${mode} on ${relation}`
        : `process ${pid}${role === null ? "" : ` of ${role}`} ${granted ? "holds" : "waits for"} ${mode} on ${relation}`,
    )
    .join("; ");
}

/** `WRITERS_BUSY` or `TABLES_IN_USE`, with who was in the way for all of the patience. */
export async function tablesBusy(
  lock: Pick<TableLock, "client" | "relations" | "patienceSeconds"> & { readonly mode: Wanted },
  cause: unknown,
): Promise<LifeboatError> {
  const holders = await holdersOf(lock);
  const isWriting = lock.mode === "SHARE ROW EXCLUSIVE";
  const what = isWriting
    ? "a transaction that has written to Postgres"
    : "a transaction that uses the tables in Postgres";
  const named = inWords(holders);
  const [first] = holders;
  const remedy =
    first === undefined || first.pid !== null
      ? `select pg_terminate_backend(${first?.pid ?? "PID"})`
      : "rollback prepared, see pg_prepared_xacts";
  return new LifeboatError({
    code: isWriting ? "WRITERS_BUSY" : "TABLES_IN_USE",
    message: `${what} did not end within ${lock.patienceSeconds} s${named === "" ? "" : `: ${named}`}; nothing was changed`,
    remedy: `wait for it to end, or end it (${remedy}), then run this again`,
    details: { holders },
    cause,
  });
}

/** Who is in the way, the oldest first; empty where all have just gone. */
async function holdersOf({
  client,
  relations,
  mode,
}: Pick<TableLock, "client" | "relations"> & { readonly mode: Wanted }): Promise<Holder[]> {
  const { rows } = await client.query<Holder>(
    `SELECT l.pid, a.usename AS role, l.relation::regclass::text AS relation, l.mode, l.granted
     FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
     WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.relation IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)
       AND CASE $2 WHEN 'ACCESS SHARE' THEN l.mode = 'AccessExclusiveLock'
                   WHEN 'ACCESS EXCLUSIVE' THEN l.granted
                   ELSE l.granted AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') END
     ORDER BY a.xact_start NULLS FIRST, l.pid, relation LIMIT 5`,
    [relations, mode],
  );
  return rows;
}
