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
  const { workplace, parts } = request;
  const scale = request.small ? 10 : 100;
  if (parts.wants("streamed")) {
    const quiet = await benchCluster(workplace, { name: "streamed", scale, archiving: false });
    yield await streamedRows(quiet, request);
    await quiet.cluster.stop();
  }
  const bench = await benchCluster(workplace, { name: "postgres", scale, archiving: true });
  const peer = await pgBackRest(workplace, bench);
  // One after the other: each wants the machine for itself.
  if (parts.wants("parallel")) yield await parallelRows(bench, peer, request);
  if (parts.wants("restore")) yield await restoreRows(bench, peer, request);
  if (parts.wants("incremental")) yield await incrementalRows(request);
  if (parts.wants("push")) yield await pushRows(bench, peer, request);
  if (parts.wants("replay")) yield await replayRows(bench, peer, request);
  if (parts.wants("load")) yield await loadRows(bench, request);
}
