import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isSystemError, LifeboatError, type Report } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { execa } from "execa";
import type pg from "pg";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { runAs, serverAccount } from "../files/account.ts";
import { effectiveValue, settingsIn } from "../files/effective-settings.ts";
import { findPrograms, programPath } from "../server/programs.ts";
import { runningServer } from "../server/running-server.ts";
import { serverLines } from "../server/server-line.ts";
import { reachablePrograms } from "../server/staging.ts";
import { readSlots } from "../slots/slots.ts";
import type { MadeStandby } from "./make-standby.ts";
import { removedSegment } from "./standby-log.ts";

export interface StartStandby {
  readonly connection: ServerConnection;
  readonly standby: MadeStandby;
  readonly report: Report;
  readonly signal: AbortSignal;
  /** How long it may not stream before that is said to be wrong. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 120_000;
const POLL_MS = 250;
/** How long the server may take to say that it is there. */
const START_MS = 10_000;

/** Where the server writes what it says, in the data directory. */
const LOG = "standby.log";

/**
 * Starts a standby that was made, and waits until it streams. Whatever fails, its directory and its slot stay:
 * they are whole, and what keeps it from starting can be mended. So the error names both.
 * @throws LifeboatError as {@link startStandby} and {@link awaitStreaming} do; `STANDBY_STOPPED` when the signal aborts
 */
export async function bringUpStandby(request: StartStandby): Promise<void> {
  try {
    await startStandby(request);
    await awaitStreaming(request);
  } catch (cause) {
    throw await leftBehind(request, cause);
  }
}

async function leftBehind(
  { standby, signal, connection }: StartStandby,
  cause: unknown,
): Promise<unknown> {
  const { path, slot } = standby;
  const failure = signal.aborted ? stopped(standby) : cause;
  if (!(failure instanceof LifeboatError)) return failure;
  const stays =
    slot === null ? "" : `, and so does replication slot ${slot}, which keeps WAL on the primary`;
  const { stop: line } = await serverLines(path, { binDirectory: connection.binDirectory });
  const stop = (await isRunning(path)) ? `${line}, then ` : "";
  const slotAlone = slot === null ? "" : ` (the slot alone: lifeboat slots --drop ${slot})`;
  return new LifeboatError({
    code: failure.code,
    kind: failure.kind,
    message: `${failure.message}; its directory ${path} stays${stays}`,
    remedy: `${failure.remedy}; or give it up: ${stop}lifeboat standby --remove ${shellWord(path)}${slotAlone}`,
    details: { ...failure.details, path, slot },
    cause,
  });
}

function stopped({ path }: MadeStandby): LifeboatError {
  return new LifeboatError({
    code: "STANDBY_STOPPED",
    message: `the wait for the standby in ${path} was stopped before it streamed`,
    remedy:
      "if its server runs, it goes on by itself: select * from pg_stat_replication on the primary shows it",
  });
}

/** Starts the standby's server as its own account. It goes on running when this process ends. */
export async function startStandby({ connection, standby }: StartStandby): Promise<void> {
  const major = Number.parseInt(await readFile(join(standby.path, "PG_VERSION"), "utf8"), 10);
  const account = await serverAccount(standby.path);
  const { binDirectory } = connection;
  const found = await findPrograms({ binDirectory, major, needs: ["pg_ctl", "postgres"] });
  const { programs } = await reachablePrograms(found, account);
  const log = join(standby.path, LOG);
  // Its exit status says nothing about recovery, and little about the start: what follows is asked for.
  const args = ["start", "-W", "-D", standby.path, "-l", log];
  await execa(programPath(programs, "pg_ctl"), args, {
    ...runAs(account),
    reject: false,
    stdio: "ignore",
  });
  const patience = Date.now() + START_MS;
  while (!(await isRunning(standby.path)) && Date.now() < patience) await delay(POLL_MS);
}

/**
 * Waits until the standby has replayed what the primary had written when this began, and streams: seen
 * from the primary, which alone knows.
 * @throws LifeboatError `STANDBY_LOST_WAL` when it needs WAL that the primary has no more; `STANDBY_ENDED` with
 *   its own words; `STANDBY_NOT_STREAMING`
 */
export async function awaitStreaming(request: StartStandby): Promise<void> {
  await withClient(request.connection, async (client) => {
    const target = await currentPosition(client);
    const first = await lagOf(client, request.standby.name, target);
    let patience = Date.now() + (request.patienceMs ?? PATIENCE_MS);
    let best = first?.behind ?? Number.POSITIVE_INFINITY;
    const total = first?.behind ?? 0;
    for (;;) {
      request.signal.throwIfAborted();
      const lag = await lagOf(client, request.standby.name, target);
      if (lag && lag.state === "streaming" && lag.behind <= 0) return;
      const removed = await assertAlive(client, request);
      if (lag && lag.behind < best) {
        best = lag.behind;
        patience = Date.now() + (request.patienceMs ?? PATIENCE_MS);
      }
      if (Date.now() > patience)
        throw removed ? lostWal(request.standby, removed) : notStreaming(request.standby, lag);
      reportLag(request.report, lag, total);
      await delay(POLL_MS, undefined, { signal: request.signal });
    }
  });
}

interface Lag {
  readonly state: string;
  /** Bytes up to the position that is awaited. */
  readonly behind: number;
  /** Bytes up to what the primary has written now. */
  readonly lagBytes: number;
  readonly lagSeconds: number | null;
}

/** A standby that feeds another one writes no WAL, and sends what it has replayed. */
const POSITION =
  "case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end";

async function currentPosition(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ lsn: string }>(`select ${POSITION} as lsn`);
  return rows[0]?.lsn ?? "0/0";
}

async function lagOf(client: pg.Client, name: string, target: string): Promise<Lag | undefined> {
  const { rows } = await client.query<Record<string, string | null>>(
    `select state, pg_wal_lsn_diff($2::pg_lsn, replay_lsn)::text as behind,
            pg_wal_lsn_diff(${POSITION}, replay_lsn)::text as "lagBytes",
            extract(epoch from replay_lag)::text as "lagSeconds"
     from pg_stat_replication where application_name = $1 and replay_lsn is not null`,
    [name, target],
  );
  const [row] = rows;
  if (!row) return undefined;
  return {
    state: row.state ?? "",
    behind: Number(row.behind),
    lagBytes: Math.max(0, Number(row.lagBytes)),
    lagSeconds: row.lagSeconds === null ? null : Number(row.lagSeconds),
  };
}

function reportLag(report: Report, lag: Lag | undefined, total: number): void {
  if (!lag) {
    report({ note: "waiting for the standby to stream" });
    return;
  }
  const seconds = lag.lagSeconds === null ? "" : `, ${lag.lagSeconds.toFixed(1)} s`;
  report({
    ...(total > 0 && { bytes: Math.max(0, total - lag.behind), totalBytes: total }),
    note: `${lag.state}: ${lag.lagBytes} bytes${seconds} behind`,
  });
}

/**
 * What it asks for and the primary has no more may still come out of the archive, where there is one.
 * @returns the segment that it waits for so
 */
async function assertAlive(
  client: pg.Client,
  { standby, connection: { binDirectory } }: StartStandby,
): Promise<string | undefined> {
  const said = await logOf(standby.path);
  const removed = removedSegment(said);
  const slot = (await readSlots(client)).find(({ name }) => name === standby.slot);
  if (slot?.verdict === "lost" || (removed && !(await hasArchive(standby))))
    throw lostWal(standby, removed);
  if (await isRunning(standby.path)) return removed;
  const { start } = await serverLines(standby.path, { binDirectory, log: LOG });
  throw ended(standby, said, start);
}

async function hasArchive({ path }: MadeStandby): Promise<boolean> {
  return Boolean(effectiveValue(await settingsIn(path), "restore_command"));
}

async function logOf(directory: string): Promise<string> {
  return readFile(join(directory, LOG), "utf8").catch((cause: unknown) => {
    if (isSystemError(cause, "ENOENT")) return "";
    throw cause;
  });
}

/** A server that starts makes its pid file at once, and removes it when it ends. */
export async function isRunning(directory: string): Promise<boolean> {
  return (await runningServer(directory)) !== undefined;
}

function lostWal({ path, slot }: MadeStandby, segment: string | undefined): LifeboatError {
  return new LifeboatError({
    code: "STANDBY_LOST_WAL",
    message: `the standby in ${path} needs WAL segment ${segment ?? "that its slot has lost"}, which the primary has removed, and no archive brings it: it answers reads, and stays as old as it is`,
    remedy: `archive that segment if it is anywhere (the standby asks again), else make the standby anew${slot === null ? ", with a slot" : ""}: lifeboat standby --remove ${shellWord(path)}`,
    details: { path, segment: segment ?? null },
  });
}

function ended({ path }: MadeStandby, said: string, start: string): LifeboatError {
  const words = said.split("\n").filter((line) => /(FATAL|PANIC|ERROR|HINT):/.test(line));
  const last = said.trim().split("\n").slice(-3);
  return new LifeboatError({
    code: "STANDBY_ENDED",
    message: `the server of the standby in ${path} does not run: ${(words.length > 0 ? words : last).join("; ") || "it said nothing"}`,
    remedy: `mend what it names (its port may be taken), and start it with: ${start}`,
    details: { path },
  });
}

function notStreaming({ path, name }: MadeStandby, lag: Lag | undefined): LifeboatError {
  const how = lag
    ? `is ${lag.state}, ${lag.lagBytes} bytes behind, and comes no nearer`
    : "is not among the primary's pg_stat_replication";
  return new LifeboatError({
    code: "STANDBY_NOT_STREAMING",
    message: `the standby in ${path} runs and ${how} (application_name ${name})`,
    remedy: `see its log, ${join(path, LOG)}, and pg_hba.conf of the primary`,
    details: { path },
  });
}
