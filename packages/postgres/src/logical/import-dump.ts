import { tmpdir } from "node:os";
import { LifeboatError, type Report, reasonOf, runSteps, type StepRunner } from "@lifeboat/core";
import type pg from "pg";
import { KEEP_ALIVE } from "../basebackup/libpq-environment.ts";
import { end, hangUp } from "../connection/connection.ts";
import { serverFailure } from "../connection/failure.ts";
import { ownAccount } from "../files/account.ts";
import { programPath } from "../server/programs.ts";
import { Scratch } from "../server/scratch.ts";
import { clientEnvironment } from "./client-environment.ts";
import {
  type FailureReading,
  ProgramFailure,
  programFailure,
  runClientProgram,
} from "./client-program.ts";
import { restorePrograms } from "./dump-programs.ts";
import { assertRoles } from "./dump-roles.ts";
import { usualJobs } from "./dump-source.ts";
import { assertTablespaces } from "./dump-tablespaces.ts";
import { type DumpOrigin, type FetchedDump, fetchDump, nameOf } from "./fetch-dump.ts";
import {
  assertTakes,
  connectTarget,
  countTables,
  holdings,
  type TargetDatabase,
  takeTarget,
} from "./target-database.ts";

export interface ImportDump {
  readonly origin: DumpOrigin;
  /** The URL of an empty database; may hold a password, which never leaves it. */
  readonly into: string;
  readonly binDirectory?: string | undefined;
  /** One: all of it or nothing, in one transaction. More: so many connections load at once. */
  readonly jobs?: number | undefined;
  /** Leave owners and rights behind: all belongs to who imports. */
  readonly noOwner: boolean;
  /** Leave tablespaces behind: all goes into the target database's own. */
  readonly noTablespaces?: boolean;
  readonly signal: AbortSignal;
  readonly run?: StepRunner;
}

export interface ImportReport {
  /** The export's id, or the file's path. */
  readonly from: string;
  /** Without a password. */
  readonly into: string;
  readonly tables: number;
  readonly seconds: number;
  readonly findings: readonly [];
}

/**
 * Loads a logical dump into an empty database by pg_restore. Digests are checked before anything reaches the
 * server; of a load that failed it is said what it left there.
 * @throws LifeboatError `TARGET_NOT_EMPTY`, `SERVER_TOO_OLD`, `ROLES_MISSING`, `TABLESPACES_MISSING` (kind
 *   `refused`), `IMPORT_FAILED`, and what {@link fetchDump} throws
 */
export async function importDump(request: ImportDump): Promise<ImportReport> {
  const { origin, into, signal, run = runSteps } = request;
  const began = performance.now();
  const client = await connectTarget(into);
  let scratch: Scratch | undefined;
  let tables = 0;
  try {
    let target: TargetDatabase | undefined;
    let dump: FetchedDump | undefined;
    await run([
      {
        title: "look at the target",
        run: async () => {
          target = await takeTarget(client);
          if ("manifest" in origin) assertTakes(target, origin.manifest.dumpVersion);
        },
      },
      {
        title: `fetch ${nameOf(origin)}, and check it`,
        run: async (report) => {
          scratch = await Scratch.make(ownAccount(), tmpdir());
          dump = await fetchDump({ origin, into: scratch.path, report, signal });
        },
      },
      {
        title: "load it",
        run: async (report) => {
          const loading = { client, target, dump, scratch, report } as Loading;
          assertTakes(loading.target, loading.dump.facts.dumpVersion);
          await load(request, loading);
        },
      },
      {
        title: "gather statistics",
        run: async () => {
          tables = await countTables(client);
          await interruptible(client, signal, "analyze");
        },
      },
    ]);
  } catch (cause) {
    throw serverFailure(cause, client);
  } finally {
    await scratch?.remove();
    await end(client);
  }
  const from = "file" in origin ? origin.file : origin.manifest.id;
  const seconds = Math.round(performance.now() - began) / 1000;
  return { from, into: withoutPassword(client), tables, seconds, findings: [] };
}

interface Loading {
  readonly client: pg.Client;
  readonly target: TargetDatabase;
  readonly dump: FetchedDump;
  readonly scratch: Scratch;
  readonly report: Report;
}

async function load(request: ImportDump, loading: Loading): Promise<void> {
  const { noOwner, noTablespaces, signal, binDirectory, jobs = usualJobs() } = request;
  const { client, target, dump, scratch, report } = loading;
  const majors = { dump: Number.parseInt(dump.facts.dumpVersion, 10), target: target.major };
  const programs = await restorePrograms(binDirectory, majors);
  const { directory } = dump;
  if (!noOwner) await assertRoles(client, programs, { directory, scratch: scratch.path }, signal);
  if (!noTablespaces) await assertTablespaces(client, programs, directory, signal);
  const args = [
    "--format=directory",
    // Several connections cannot share a transaction.
    ...(jobs === 1 ? ["--single-transaction"] : [`--jobs=${jobs}`]),
    "--exit-on-error",
    "--no-password",
    "--verbose",
    ...(noOwner ? ["--no-owner", "--no-privileges"] : []),
    ...(noTablespaces ? ["--no-tablespaces"] : []),
    `--dbname=dbname='${target.database.replace(/['\\]/g, "\\$&")}' ${KEEP_ALIVE}`,
    directory,
  ];
  try {
    await runClientProgram({
      program: programPath(programs, "pg_restore"),
      ...{ args, env: clientEnvironment(request.into, client), watchdog: scratch.watchdog, signal },
      note: (note) => report({ note }),
    });
  } catch (cause) {
    const left = await leftIn(client);
    if (signal.aborted && left !== NOTHING) throw stopped(left, target);
    const asked = await remedyOf(cause, client, programs.major > target.major);
    const how = { code: "IMPORT_FAILED", role: client.user ?? "", left, asked };
    throw programFailure(
      withShortNames(cause, directory),
      { ...how, next: afterFailure(left, target) },
      READINGS,
    );
  }
}

/** The directory's name is long on purpose, and nobody's business. */
function withShortNames(cause: unknown, directory: string): unknown {
  if (!(cause instanceof ProgramFailure)) return cause;
  return new ProgramFailure(
    cause.program,
    cause.message.replaceAll(directory, "dump"),
    cause.entry,
  );
}

/** By what is so, and not by what the server said in its own language. */
async function remedyOf(
  cause: unknown,
  client: pg.Client,
  isNewer: boolean,
): Promise<string | undefined> {
  const entry = cause instanceof ProgramFailure ? cause.entry : undefined;
  // Before the first entry come the settings of a session.
  if (entry === undefined) return isNewer ? NEWER_PROGRAM : undefined;
  const [, extension] = /^\d+ \d+ EXTENSION (?:- )?(\S+)/.exec(entry) ?? [];
  if (extension === undefined) return undefined;
  return client
    .query("select from pg_available_extensions where name = $1", [extension])
    .then(({ rows }) => (rows.length === 0 ? NO_EXTENSION : undefined))
    .catch(() => undefined);
}

const NOTHING = "the target is as empty as before";

/** Several connections have committed what they were done with. */
async function leftIn(client: pg.Client): Promise<string> {
  try {
    const holds = await holdings(client);
    return holds.length === 0
      ? NOTHING
      : `the target holds a part of the dump: ${holds.join(", ")}`;
  } catch (cause) {
    return `what is in the target cannot be told (${reasonOf(cause)})`;
  }
}

function afterFailure(left: string, { database }: TargetDatabase): string {
  if (left === NOTHING) return "then run it again";
  const name = `"${database.replaceAll('"', '""')}"`;
  return `make the target anew (drop database ${name}; create database ${name}), then run it again; with --jobs 1 it is all or nothing`;
}

function stopped(left: string, target: TargetDatabase): LifeboatError {
  return new LifeboatError({
    code: "IMPORT_STOPPED",
    message: `the import was stopped; ${left}`,
    remedy: afterFailure(left, target),
    details: { database: target.database },
  });
}

/** A statement that ends with its connection when we are told to stop. */
async function interruptible(client: pg.Client, signal: AbortSignal, sql: string): Promise<void> {
  const stop = () => hangUp(client);
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    await client.query(sql);
  } catch (cause) {
    signal.throwIfAborted();
    throw cause;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function withoutPassword({ host, port, user, database }: pg.Client): string {
  const place = host.startsWith("/") ? encodeURIComponent(host) : host;
  return `postgres://${encodeURIComponent(user ?? "")}@${place}:${port}/${encodeURIComponent(database ?? "")}`;
}

const NEWER_PROGRAM =
  "this pg_restore is newer than the server: install the client programs of the server's own version";
const NO_EXTENSION = "install that extension on the target's host (its package)";

const READINGS: readonly FailureReading[] = [
  { matches: /unrecognized configuration parameter/, remedy: () => NEWER_PROGRAM },
  {
    matches: /file name too long/,
    remedy: () =>
      "its list of contents names a file outside of it, which none that lifeboat export wrote does: import a dump whose origin is known",
  },
  {
    matches: /extension .* is not available|could not open extension control file/,
    remedy: () => NO_EXTENSION,
  },
];
