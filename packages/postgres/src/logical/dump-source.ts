import { readdir, stat } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { Dump, DumpSource, Finding } from "@lifeboat/core";
import type pg from "pg";
import { KEEP_ALIVE, type ProgramEnvironment } from "../basebackup/libpq-environment.ts";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { ownAccount } from "../files/account.ts";
import { programPath, type ServerPrograms } from "../server/programs.ts";
import { Scratch } from "../server/scratch.ts";
import { clientEnvironment } from "./client-environment.ts";
import {
  type FailureReading,
  ProgramFailure,
  programFailure,
  runClientProgram,
} from "./client-program.ts";
import { type DumpObstacle, dumpObstacle } from "./dump-obstacle.ts";
import { dumpPrograms } from "./dump-programs.ts";
import type { DumpFile } from "./dump-tar.ts";
import { dumpGlobals } from "./globals.ts";
import { DUMP_FOLDER, dumpDirectory, PostgresDump } from "./postgres-dump.ts";
import { assertScratchHolds } from "./scratch-space.ts";

/** A part of a dump in the repository. Of one that is damaged the others can still be read. */
const PART_BYTES = 2 ** 30;
/** Who changes a table keeps us waiting so long, and no longer: all locks that we have are held meanwhile. */
const LOCK_WAIT_MS = 60_000;

export interface DumpRequest {
  readonly connection: ServerConnection;
  /** How many connections read tables at once; two, or one on a single core, when left out. */
  readonly jobs?: number | undefined;
  /** How large a part in the repository may grow. */
  readonly partBytes?: number;
}

/** How many jobs there are when nobody says. */
export function usualJobs(): number {
  return Math.min(2, availableParallelism());
}

/** The configured database, dumped by pg_dump in its directory format. */
export function postgresDumpSource(request: DumpRequest): DumpSource {
  const { connection } = request;
  return {
    engine: "postgres",
    folderName: () =>
      withClient(connection, async (client) => {
        const { rows } = await client.query<{ id: string }>(
          "select system_identifier::text as id from pg_control_system()",
        );
        return rows[0]?.id ?? "";
      }),
    dump: async ({ report, signal }) => {
      const source = await withClient(connection, (client) => describe(connection, client));
      const programs = await dumpPrograms(connection.binDirectory, source.major);
      await assertScratchHolds(tmpdir(), source.bytes);
      const scratch = await Scratch.make(ownAccount(), tmpdir());
      try {
        const startedAt = new Date().toISOString();
        const warnings = await dumpInto(scratch, {
          ...{ programs, source, signal, jobs: request.jobs ?? usualJobs() },
          note: (note) => report({ note }),
        });
        const { globals, findings } = await dumpGlobals({
          ...{ programs, scratch, signal, env: source.env },
        });
        return new PostgresDump({
          facts: {
            database: source.database,
            serverVersion: source.version,
            dumpVersion: programs.version,
            startedAt,
            finishedAt: new Date().toISOString(),
          },
          ...{ scratch, globals, files: await filesIn(scratch) },
          findings: [...findings, ...newerThan(source.major, programs), ...warnings.map(warningOf)],
          partBytes: request.partBytes ?? PART_BYTES,
        }) satisfies Dump;
      } catch (cause) {
        await scratch.remove();
        const obstacle =
          cause instanceof ProgramFailure ? await dumpObstacle(connection) : undefined;
        const role = source.env.PGUSER ?? "";
        throw programFailure(
          cause,
          {
            ...{ code: "EXPORT_FAILED", role, asked: obstacle && REMEDIES[obstacle](role) },
            ...{ left: "nothing was kept", next: "then run it again" },
          },
          READINGS,
        );
      }
    },
  };
}

interface SourceDatabase {
  readonly env: ProgramEnvironment;
  readonly database: string;
  readonly version: number;
  readonly major: number;
  /** Without indexes, as far as the last vacuum knows: about what the dump will have. */
  readonly bytes: number;
}

/** Nothing here takes a lock: who changes a table would keep us waiting, and nobody would know. */
const DESCRIBE = `
  select current_database() as database,
         current_setting('server_version_num')::int as version,
         greatest(0, pg_database_size(current_database()) - (
            select coalesce(sum(relpages), 0) * current_setting('block_size')::int8
            from pg_class where relkind = 'i'
         ))::text as bytes`;

async function describe(connection: ServerConnection, client: pg.Client): Promise<SourceDatabase> {
  const { rows } = await client.query<{ database: string; version: number; bytes: string }>(
    DESCRIBE,
  );
  const { database, version, bytes } = rows[0] as (typeof rows)[number];
  return {
    env: { ...clientEnvironment(connection.url, client), PGDATABASE: database },
    ...{ database, version, major: Math.floor(version / 10_000), bytes: Number(bytes) },
  };
}

function dumpInto(
  scratch: Scratch,
  work: {
    readonly programs: ServerPrograms;
    readonly source: SourceDatabase;
    readonly jobs: number;
    readonly signal: AbortSignal;
    readonly note: (text: string) => void;
  },
): Promise<string[]> {
  const args = [
    "--format=directory",
    `--dbname=${KEEP_ALIVE}`,
    `--file=${dumpDirectory(scratch.path)}`,
    `--jobs=${work.jobs}`,
    // The repository compresses, on all cores and with digests of its own; 15 knows no word for none.
    "--compress=0",
    "--no-sync",
    "--no-password",
    `--lock-wait-timeout=${LOCK_WAIT_MS}`,
    "--verbose",
  ];
  const program = programPath(work.programs, "pg_dump");
  const { env } = work.source;
  return runClientProgram({ ...work, program, args, env, watchdog: scratch.watchdog });
}

/** `toc.dat` first: it says what the others are. */
async function filesIn(scratch: Scratch): Promise<DumpFile[]> {
  const folder = dumpDirectory(scratch.path);
  const first = (name: string) => Number(name !== "toc.dat");
  const names = (await readdir(folder)).toSorted((a, b) => first(a) - first(b) || (a < b ? -1 : 1));
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return { name: `${DUMP_FOLDER}/${name}`, path, bytes: (await stat(path)).size };
    }),
  );
}

function newerThan(serverMajor: number, programs: ServerPrograms): Finding[] {
  if (programs.major === serverMajor) return [];
  return [
    {
      id: "newer-pg-dump",
      severity: "info",
      summary: `this dump of a server of version ${serverMajor} was written by pg_dump ${programs.version}, so only servers of version ${programs.major} and newer take it`,
      remedy: `to load it into older ones, install postgresql-client-${serverMajor} and export again`,
    },
  ];
}

function warningOf(summary: string): Finding {
  return {
    id: "pg-dump-warning",
    severity: "warning",
    summary: `pg_dump warned: ${summary}`,
    remedy: "see the manual of pg_dump; the dump was written",
  };
}

const REMEDIES: Readonly<Record<DumpObstacle, (role: string) => string>> = {
  denied: (role) =>
    `as a superuser: grant pg_read_all_data to "${role}" (large objects that are another role's need lo_compat_privileges or a superuser)`,
  filtered: (role) => `as a superuser: alter role "${role}" bypassrls, since a dump needs all rows`,
  locked: () =>
    "somebody empties, changes or locks that table: wait until they are done (select * from pg_locks where mode = 'AccessExclusiveLock' shows who), or use --jobs 1, which waits for them: several connections give up at once",
};

const READINGS: readonly FailureReading[] = [
  { matches: /permission denied for|must be (superuser|owner)/, remedy: REMEDIES.denied },
  { matches: /row-level security/, remedy: REMEDIES.filtered },
  { matches: /could not obtain lock|lock timeout/, remedy: REMEDIES.locked },
  {
    matches: /No space left|could not write/,
    remedy: () => "set TMPDIR to a folder on a larger disk",
  },
  {
    matches: /connection to server|server closed the connection|terminating connection/,
    remedy: () => "see the server's log for why",
  },
];
