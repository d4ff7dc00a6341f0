import { comparedRow, missingRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import { archiveCommands } from "./archive-commands.ts";
import type { BenchCluster } from "./bench-cluster.ts";
import type { PgBackRest } from "./pgbackrest.ts";
import { archiveAll, fillSegments } from "./wal-load.ts";

/** WAL push through the real archiver, at zstd's level 1: each contestant gets as many segments of the same load. */
export async function pushRows(
  bench: BenchCluster,
  peer: PgBackRest | undefined,
  { runs, small }: BenchRequest,
): Promise<Row[]> {
  const commands = await archiveCommands(bench, peer);
  const count = small ? 8 : 48;
  const times = { floor: [], plain: [], lifeboat: [], pgBackRest: [] } as Record<string, number[]>;
  const contestants = Object.entries({
    floor: "true",
    plain: commands.plain,
    lifeboat: commands.lifeboat,
    pgBackRest: commands.pgBackRest,
  });
  for (let run = 0; run < runs; run++)
    for (const [name, command] of contestants) {
      if (command === undefined) continue;
      await fillSegments(bench, count);
      const { segments, seconds } = await archiveAll(bench, command);
      times[name]?.push((seconds * 1000) / segments);
    }
  await bench.archiveBy("true");
  const { floor = [], plain = [], lifeboat = [], pgBackRest = [] } = times;
  const rows = [
    valueRow({ what: "WAL push: `true`, the archiver alone", values: floor, unit: "ms a segment" }),
    comparedRow({
      what: "WAL push, a process a segment",
      ours: lifeboat,
      peer: "`cp`, fsync, `mv`",
      theirs: plain,
      unit: "ms a segment",
    }),
    missingRow("WAL push, resident", "not available"),
  ];
  if (peer)
    rows.push(
      comparedRow({
        what: "WAL push, a process a segment, segments a second",
        ours: lifeboat.map((ms) => 1000 / ms),
        peer: "pgBackRest, asynchronous, process-max 2",
        theirs: pgBackRest.map((ms) => 1000 / ms),
        unit: "segments/s",
        target: { atLeast: 1.5 },
      }),
    );
  return rows;
}
