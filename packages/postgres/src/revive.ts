import { join } from "node:path";
import {
  chosenBackup,
  LifeboatError,
  type RevivedDatabase,
  type ReviveRequest,
} from "@lifeboat/core";
import { execa } from "execa";
import { isFaultOfTarget, recoveryUnwritable } from "./archive/target-failure.ts";
import { postgresDetails } from "./details.ts";
import { type Account, accountMay, runAs, serverAccount } from "./files/account.ts";
import { writeDurably } from "./files/durable.ts";
import { privateSettings } from "./files/private-settings.ts";
import { superuserNames } from "./files/superuser-names.ts";
import { RecoveryWatch } from "./restore/prove-recovery.ts";
import { RevivedCluster } from "./revive/revived-cluster.ts";
import { SegmentServer } from "./revive/segment-server.ts";
import { findPrograms, programPath, type ServerPrograms } from "./server/programs.ts";
import { Scratch } from "./server/scratch.ts";
import { Server, serverEnded } from "./server/server.ts";
import { reachablePrograms } from "./server/staging.ts";
import { lsnOf } from "./wal/lsn.ts";

export interface ReviveOptions {
  /** `binDirectory` of the configuration. */
  readonly binDirectory?: string | undefined;
  /** The database that `query` asks when it is given none. When left out: the only one beside `postgres`, else that. */
  readonly database?: string | undefined;
}

const REPLAYED = /^LOG: {2}redo in progress.*current LSN: ([0-9A-F/]+)/;

/** Whoever reaches the private socket is let in: only the server's account and root can. */
const HBA = "local all all trust\n";

/**
 * Starts a restored data directory in private, hands it the WAL from the repository, and waits until
 * it has recovered to its target and is open.
 * @throws LifeboatError `PROGRAMS_NOT_FOUND`; `DATA_DIRECTORY_UNREACHABLE`; `RECOVERY_FAILED` with the
 *   server's words; what kept a segment from being handed over (`CHECKSUM_MISMATCH` …), naming it
 */
export async function revivePostgres(
  request: ReviveRequest,
  options: ReviveOptions = {},
): Promise<RevivedDatabase> {
  const { path } = request.restored;
  const major = Math.trunc(postgresDetails(chosenBackup(request.plan)).serverVersion / 10_000);
  const found = await findPrograms({ binDirectory: options.binDirectory, major });
  const account = await serverAccount(path);
  if (!(await accountMay(account, "x", path))) throw unreachable(path, account);
  const { programs, release } = await reachablePrograms(found, account);
  try {
    const revival = await recover(request, programs, account);
    const cluster = await RevivedCluster.open({
      ...revival,
      ...options,
      major,
      last: lastCommit(request),
      database: options.database,
      release,
    });
    await assertNotShort(request, cluster);
    return cluster;
  } catch (cause) {
    await release();
    throw cause;
  }
}

/**
 * A server that finds a record which its checksum does not fit takes it for the end of the archive, and opens. Of a target it tells
 * itself that it was not reached; of the archive's end only we know where that is.
 */
async function assertNotShort({ plan }: ReviveRequest, cluster: RevivedCluster): Promise<void> {
  const { target, willRecoverTo } = plan;
  const { recoveredLsn: reached } = cluster;
  if (target.kind !== "latest" || willRecoverTo.lsn === null || reached === null) return;
  if (lsnOf(reached) > lsnOf(willRecoverTo.lsn)) return;
  await cluster.close();
  throw new LifeboatError({
    code: "RECOVERY_SHORT",
    message: `the server replayed up to ${reached} and took that for the end, while records are archived up to ${willRecoverTo.lsn}: the WAL behind it is damaged`,
    remedy: `take a new backup (lifeboat backup); what lies before it can be recovered: --lsn ${reached}`,
    details: { reached, archived: willRecoverTo.lsn },
  });
}

/** Where the plan ends with a commit that it knows. */
function lastCommit({ plan: { target, willRecoverTo } }: ReviveRequest) {
  const { lsn, time } = willRecoverTo;
  const known = target.kind === "lsn" && !target.exclusive && lsn !== null && time !== null;
  return known ? { lsn, time } : undefined;
}

/** A server that has recovered, and who may enter it. */
interface Revival {
  readonly server: Server;
  readonly superuser: string;
  /** Libraries that the copy's settings preload and that this host has not. */
  readonly missingLibraries: readonly string[];
}

/** Starts it, again without a library that this host lacks as often as that takes. */
async function recover(
  request: ReviveRequest,
  programs: ServerPrograms,
  account: Account,
): Promise<Revival> {
  const dataDirectory = request.restored.path;
  const wanted = await preloadedLibraries(dataDirectory, programs, account);
  const preload = wanted.filter(isInstalled);
  const missingLibraries = wanted.filter((library) => !isInstalled(library));
  for (;;) {
    try {
      const revived = await tryToRecover(request, { programs, account, preload });
      return { ...revived, missingLibraries };
    } catch (cause) {
      const missing = cause instanceof LifeboatError ? missingLibrary(cause) : undefined;
      const at = missing === undefined ? -1 : preload.indexOf(missing);
      if (at < 0) throw cause;
      missingLibraries.push(...preload.splice(at, 1));
    }
  }
}

interface Attempt {
  readonly programs: ServerPrograms;
  readonly account: Account;
  readonly preload: readonly string[];
}

async function tryToRecover(request: ReviveRequest, attempt: Attempt) {
  const dataDirectory = request.restored.path;
  const names = [...(await superuserNames(dataDirectory)), "postgres"];
  const scratch = await Scratch.make(attempt.account);
  let server: Server | undefined;
  let segments: SegmentServer | undefined;
  try {
    segments = await openSegments(request, attempt.account, scratch);
    server = await startPrivately(request, attempt, scratch, segments);
    server.log.onLine((line) => {
      const replayed = REPLAYED.exec(line)?.[1];
      if (replayed) request.report({ note: `replayed up to ${replayed}` });
    });
    await server.accepting(names[0] ?? "postgres", request.signal);
    await segments.close();
    return { server, superuser: await firstKnown(server, names) };
  } catch (cause) {
    await server?.stop("immediate");
    await segments?.close();
    await scratch.remove();
    throw server && segments ? recoveryFailed(server, segments, cause) : cause;
  }
}

async function openSegments(
  { folder, plan, restored, report }: ReviveRequest,
  account: Account,
  scratch: Scratch,
): Promise<SegmentServer> {
  const details = postgresDetails(chosenBackup(plan));
  const { walSegmentBytes } = details;
  let bytes = 0;
  return SegmentServer.open({
    folder,
    dataDirectory: restored.path,
    walSegmentBytes,
    account,
    scratch: scratch.path,
    onServed(name) {
      bytes += walSegmentBytes;
      report({ bytes, note: `replaying ${name}` });
    },
    watch: (start) => new RecoveryWatch(plan, details, start),
  });
}

async function startPrivately(
  { restored: { path: dataDirectory }, serverLog: logFile }: ReviveRequest,
  { programs, account, preload }: Attempt,
  scratch: Scratch,
  segments: SegmentServer,
): Promise<Server> {
  const hbaFile = join(scratch.path, "pg_hba.conf");
  const identFile = join(scratch.path, "pg_ident.conf");
  await writeDurably(hbaFile, HBA, { account, mode: 0o600 });
  await writeDurably(identFile, "", { account, mode: 0o600 });
  const { major } = programs;
  const restoreCommand = segments.command;
  const settings = privateSettings({ major, restoreCommand, hbaFile, identFile, preload });
  return Server.start({ programs, account, dataDirectory, settings, logFile, scratch });
}

/** As the server itself reads it from all of the copy's files; none when it cannot read them, which its start will tell. */
async function preloadedLibraries(
  dataDirectory: string,
  programs: ServerPrograms,
  account: Account,
): Promise<string[]> {
  const own = ["-D", dataDirectory, "-c", `data_directory=${dataDirectory}`];
  const args = [...own, "-C", "shared_preload_libraries"];
  const asked = await execa(programPath(programs, "postgres"), args, {
    ...runAs(account),
    reject: false,
  });
  const names = asked.failed ? [] : asked.stdout.trim().split(",");
  return names.map((name) => name.trim().replace(/^"(.*)"$/, "$1")).filter(Boolean);
}

/**
 * Whether a library is meant that this host's installation has. Any other path may lead to a file that
 * came with the copy, and nothing in an archive is run.
 */
function isInstalled(library: string): boolean {
  return /^(\$libdir\/)?[\w.-]+$/.test(library);
}

function missingLibrary({ message }: LifeboatError): string | undefined {
  return /could not access file "([^"]+)"/.exec(message)?.[1];
}

async function firstKnown(server: Server, names: readonly string[]): Promise<string> {
  for (const name of names) if (await server.knows(name)) return name;
  throw new LifeboatError({
    code: "SUPERUSER_UNKNOWN",
    message: `the restored cluster has none of the superusers ${names.join(", ")}`,
    remedy:
      "make one that may log in on the original (create role … superuser login), and take a new backup",
    details: { names },
  });
}

/** What we know is said first: a server only sees that a file did not come. */
function recoveryFailed(server: Server, segments: SegmentServer, cause: unknown): unknown {
  const { failure } = segments;
  const { dataDirectory } = server;
  if (failure instanceof LifeboatError)
    return new LifeboatError({
      code: failure.code,
      message: `the recovery of ${dataDirectory} was stopped: ${failure.message}`,
      remedy: failure.remedy,
      details: failure.details,
      cause: failure,
    });
  if (isFaultOfTarget(failure)) return recoveryUnwritable(dataDirectory, failure);
  if (failure !== undefined) return failure;
  if (!(cause instanceof LifeboatError) || cause.code !== "SERVER_ENDED") return cause;
  const { message, details } = serverEnded(server);
  return new LifeboatError({
    code: "RECOVERY_FAILED",
    message,
    remedy: "the reason is in the server's words above",
    details,
    cause,
  });
}

function unreachable(path: string, account: Account): LifeboatError {
  return new LifeboatError({
    code: "DATA_DIRECTORY_UNREACHABLE",
    message: `account ${account.name}, which the server has to run as, cannot reach ${path}`,
    remedy:
      "restore to a folder whose parents it may search (/var/lib/postgresql, /var/tmp), or chmod o+x them",
    details: { path, account: account.name },
  });
}
