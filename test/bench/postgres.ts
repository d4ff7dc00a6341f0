import { benchCluster } from "./postgres/bench-cluster.ts";
import { fullRows } from "./postgres/full-rows.ts";
import { pgBackRest } from "./postgres/pgbackrest.ts";
import { restoreRows } from "./postgres/restore-rows.ts";
import type { Row } from "./table.ts";
import type { BenchRequest } from "./workplace.ts";

/** Postgres: 1.5 GB of pgbench (small: 150 MB). */
export async function benchPostgres(request: BenchRequest): Promise<Row[]> {
  const bench = await benchCluster(request.workplace, request.small ? 10 : 100);
  const peer = await pgBackRest(request.workplace, bench);
  return [...(await fullRows(bench, peer, request)), ...(await restoreRows(bench, peer, request))];
}
