import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchCluster } from "./bench-cluster.ts";

const ROWS_AT_ONCE = 20_000;
const SEGMENT_BYTES = 16 * 2 ** 20;

/** Holds the archiver and writes WAL until so many segments wait for it. */
export async function fillSegments(bench: BenchCluster, count: number): Promise<void> {
  const { cluster } = bench;
  await bench.archiveBy(null);
  const position = async () => {
    const [row] = await cluster.query<{ at: string }>(
      "select pg_current_wal_lsn() - '0/0'::pg_lsn as at",
    );
    return Number(row?.at);
  };
  const end = (await position()) + count * SEGMENT_BYTES;
  const [{ rows } = { rows: 0 }] = await cluster.query<{ rows: number }>(
    "select max(aid) as rows from pgbench_accounts",
  );
  // Round and round, as long as it takes.
  for (let from = 0; (await position()) < end; from = (from + ROWS_AT_ONCE) % rows)
    await cluster.query(
      `update pgbench_accounts set abalance = abalance + 1 where aid between ${from} and ${from + ROWS_AT_ONCE}`,
    );
  await cluster.query("select pg_switch_wal()");
}

/** Lets the archiver go, and waits until nothing waits for it any more. */
export async function archiveAll(
  bench: BenchCluster,
  by: string,
): Promise<{ segments: number; seconds: number }> {
  const segments = await waiting(bench);
  const started = performance.now();
  await bench.archiveBy(by);
  while ((await waiting(bench)) > 0) await sleep(5);
  return { segments, seconds: (performance.now() - started) / 1000 };
}

async function waiting({ cluster }: BenchCluster): Promise<number> {
  const names = await readdir(join(cluster.dataDirectory, "pg_wal", "archive_status"));
  return names.filter((name) => name.endsWith(".ready")).length;
}
