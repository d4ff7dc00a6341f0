import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { type Finding, LifeboatError } from "@lifeboat/core";
import type { ServerConnection } from "../connection/connection.ts";
import { localDirectory } from "../facts/local-directory.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { findPrograms, type ServerPrograms } from "../server/programs.ts";

/**
 * The first minor version of each major in which pg_basebackup no longer follows links that a hostile
 * server puts into a plain backup (CVE-2026-6475). Lifeboat takes only tars, but the program is there for
 * other hands as well.
 */
const MENDED: Readonly<Record<number, number>> = { 14: 23, 15: 18, 16: 14, 17: 10, 18: 4 };

/** WAL that a busy server may write while a backup runs: less room than this is none. */
const LEAST_WAL_SEGMENTS = 64;

/** What this host lacks, or has in an old version. */
export async function hostFindings(
  connection: ServerConnection,
  server: ServerFacts,
): Promise<Finding[]> {
  return [...(await client(connection, server)), ...(await walSpace(server))];
}

async function client(connection: ServerConnection, server: ServerFacts): Promise<Finding[]> {
  const { binDirectory } = connection;
  try {
    const wanted = { binDirectory, major: server.major, needs: ["pg_basebackup"] as const };
    return oldClient(await findPrograms(wanted));
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    return [
      {
        id: "client-programs-missing",
        severity: "info",
        summary: `this host has no client programs of version ${server.major}: backups go over the wire, which needs none; pg_verifybackup and pg_dump are not to be had`,
        remedy: thrown.remedy,
      },
    ];
  }
}

function oldClient({ major, version, directory }: ServerPrograms): Finding[] {
  const minor = Number(version.split(".")[1]);
  const mended = MENDED[major];
  if (mended === undefined || !Number.isInteger(minor) || minor >= mended) return [];
  return [
    {
      id: "client-programs-old",
      severity: "warning",
      summary: `the client programs in ${directory} are ${version}: before ${major}.${mended} pg_basebackup follows links that a hostile server sends (CVE-2026-6475)`,
      remedy: `update them: apt-get install --only-upgrade postgresql-client-${major}`,
    },
  ];
}

/** A full pg_wal stops the server. Only on its own host can we know. */
async function walSpace(server: ServerFacts): Promise<Finding[]> {
  const directory = await localDirectory(server);
  if (directory === undefined) return [];
  const wal = join(directory, "pg_wal");
  const { bavail, bsize } = await statfs(wal);
  const needed = LEAST_WAL_SEGMENTS * server.walSegmentBytes;
  const free = bavail * bsize;
  if (free >= needed) return [];
  const mib = (bytes: number) => `${Math.floor(bytes / (1 << 20))} MiB`;
  return [
    {
      id: "wal-space-scarce",
      severity: "error",
      summary: `${wal} has ${mib(free)} left: WAL that a slot holds back during a backup would fill it, and the server would stop`,
      remedy: `make room for at least ${mib(needed)}; alter system set max_slot_wal_keep_size bounds what slots may hold back`,
    },
  ];
}
