import { benchCluster } from "./postgres/bench-cluster.ts";
import { parallelRows, streamedRows } from "./postgres/full-rows.ts";
import { incrementalRows } from "./postgres/incremental-rows.ts";
import { loadRows } from "./postgres/load-rows.ts";
import { pgBackRest } from "./postgres/pgbackrest.ts";
import { pushRows } from "./postgres/push-rows.ts";
import { replayRows } from "./postgres/replay-rows.ts";
import { restoreRows } from "./postgres/restore-rows.ts";
import type { Row } from "./table.ts";
import type { BenchRequest } from "./workplace.ts";

/** Postgres: 1.5 GB of pgbench (small: 150 MB). */
export async function* benchPostgres(request: BenchRequest): AsyncGenerator<Row[]> {
  const { workplace } = request;
  const scale = request.small ? 10 : 100;
  const quiet = await benchCluster(workplace, { name: "streamed", scale, archiving: false });
  yield await streamedRows(quiet, request);
  await quiet.cluster.stop();
  const bench = await benchCluster(workplace, { name: "postgres", scale, archiving: true });
  const peer = await pgBackRest(workplace, bench);
  // One after the other: each wants the machine for itself.
  yield await parallelRows(bench, peer, request);
  yield await restoreRows(bench, peer, request);
  yield await incrementalRows(request);
  yield await pushRows(bench, peer, request);
  yield await replayRows(bench, peer, request);
  yield await loadRows(bench, request);
}
