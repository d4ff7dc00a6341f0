import { LifeboatError, type Report } from "@lifeboat/core";
import type { Client } from "pg";
import { SYNC_SESSION_NAME } from "./connect.ts";

/** Any number that nothing else uses; the same for all of Lifeboat's migrations in one database. */
const LOCK_KEY = "5497853339122026";
/** A load that was killed lets go within seconds of its client's end. */
const PATIENCE = "5s";
/** How long it is waited for a sync, which lets go once its look is done: what it brings there would else be brought by whoever takes over. */
const SYNC_PATIENCE_MS = 120_000;

/**
 * Keeps two migrations from working on one database; held until the connection ends.
 * @throws LifeboatError `LOCKED` (locked)
 */
export async function takeTargetLock(client: Client): Promise<void> {
  await client.query(`SET lock_timeout = '${PATIENCE}'`);
  try {
    await client.query(`SELECT pg_advisory_lock(${LOCK_KEY})`);
  } catch (cause) {
    if ((cause as { code?: string }).code !== "55P03") throw cause;
    throw await locked(client, cause);
  }
  await client.query("SET lock_timeout = 0");
}

/**
 * The same for a run that has said in the journal that it takes over: a sync that was left behind may be at a long look.
 * @param report is told that it waits for one
 * @throws LifeboatError `LOCKED` (locked)
 */
export async function takeTargetLockOver(
  client: Client,
  report?: Report,
  patienceMs = SYNC_PATIENCE_MS,
): Promise<void> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      return await takeTargetLock(client);
    } catch (cause) {
      if (!isHeldBySync(cause) || performance.now() > until) throw cause;
      report?.({ note: "waits for the sync to end what it brings now" });
    }
  }
}

/** The session by which the lock was not to be had; null where that is not why. */
export function holderOf(cause: unknown): number | null {
  if (!(cause instanceof LifeboatError) || cause.code !== "LOCKED") return null;
  return typeof cause.details.pid === "number" ? cause.details.pid : null;
}

function isHeldBySync(cause: unknown): boolean {
  return cause instanceof LifeboatError && cause.code === "LOCKED" && cause.details.isSync === true;
}

/**
 * Takes the lock once it is free, for as long as it is wanted: a connection of ours that broke without the server's notice holds
 * it until the server has noticed.
 * @returns whether it is held, and still wanted
 */
export async function takeTargetLockWhile(
  client: Client,
  signal: AbortSignal,
  isWanted: () => Promise<boolean>,
): Promise<boolean> {
  while (!signal.aborted && (await isWanted())) {
    try {
      await takeTargetLock(client);
      return await isWanted();
    } catch (cause) {
      if (!(cause instanceof LifeboatError) || cause.code !== "LOCKED") throw cause;
    }
  }
  return false;
}

interface Holder {
  readonly pid: number;
  readonly name: string;
  readonly role: string;
  /** Null where it came by the server's socket. */
  readonly address: string | null;
  readonly since: Date;
}

/** Names the run that has it: a `migrate sync` or `watch` under a service manager is easily forgotten. */
async function locked(client: Client, cause: unknown): Promise<LifeboatError> {
  const { rows } = await client.query<Holder>(
    `SELECT a.pid, a.application_name AS name, a.usename AS role, host(a.client_addr) AS address, a.backend_start AS since
       FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND (l.classid::bigint << 32 | l.objid::bigint) = ${LOCK_KEY}
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  const [holder] = rows;
  const who = holder === undefined ? "" : `: ${inWords(holder)}`;
  return new LifeboatError({
    code: "LOCKED",
    kind: "locked",
    message: `another run of migrate is at work on the target database${who}`,
    remedy: `wait for it to end, or stop it (a migrate sync or a watch goes on until it is stopped), then run this again; one that nobody finds ends by select pg_terminate_backend(${holder?.pid ?? "PID"})`,
    details: { pid: holder?.pid ?? null, isSync: holder?.name === SYNC_SESSION_NAME },
    cause,
  });
}

function inWords({ pid, role, address, since }: Holder): string {
  const from = address === null ? "this server's own machine" : address;
  return `process ${pid} of ${role} from ${from}, connected since ${since?.toISOString() ?? "some time"}`;
}
