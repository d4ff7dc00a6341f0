import type { DatabaseFolder, Finding } from "@lifeboat/core";
import pg from "pg";

/** Of a tablespace that the role may not measure, nothing is known; members of pg_monitor may measure all. */
const SIZE_QUERY = "select sum(pg_tablespace_size(oid))::int8::text as bytes from pg_tablespace";
const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * Whether a full backup may not fit into the repository: said before a byte moves, and no reason to refuse it, since how
 * far a cluster can be compressed is known only afterwards.
 */
export async function spaceFindings(client: pg.Client, folder: DatabaseFolder): Promise<Finding[]> {
  const free = await folder.storage.freeBytes();
  const bytes = free === null ? null : await clusterBytes(client);
  if (free === null || bytes === null || free >= bytes) return [];
  return [
    {
      id: "repository-space",
      severity: "warning",
      summary: `${folder.storage.description} has ${mebibytes(free)} left, and the cluster has ${mebibytes(bytes)}: compressed it may still not fit`,
      remedy: "make room, or move the repository to a larger place",
    },
  ];
}

async function clusterBytes(client: pg.Client): Promise<number | null> {
  try {
    const { rows } = await client.query<{ bytes: string }>(SIZE_QUERY);
    return Number(rows[0]?.bytes ?? 0);
  } catch (cause) {
    if (cause instanceof pg.DatabaseError && cause.code === INSUFFICIENT_PRIVILEGE) return null;
    throw cause;
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20).toLocaleString("en")} MiB`;
}
