import { programPath } from "@lifeboat/postgres";
import { inTurn, type Measured } from "../measure.ts";
import { comparedRow, missingRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import type { BenchCluster } from "./bench-cluster.ts";
import type { PgBackRest } from "./pgbackrest.ts";

/** Full backups: in one stream against pg_basebackup's, and with two jobs against pgBackRest's. */
export async function fullRows(
  bench: BenchCluster,
  peer: PgBackRest | undefined,
  { workplace, runs }: BenchRequest,
): Promise<Row[]> {
  const { cluster, command } = bench;
  const { port } = cluster;
  const socket = cluster.server.socketDirectory;
  const file = workplace.at("base.tar.zst");
  const program = programPath(cluster.programs, "pg_basebackup");
  const parallel = await command.knows("backup --jobs 2 --label bench");
  const ours = (options: string) => `${command.line} backup --quiet --wal stream ${options}`;
  const [wire, program1, plain, jobs, theirs] = await inTurn(
    [
      { name: "backup, wire", command: ours("--transport wire") },
      { name: "backup, pg_basebackup", command: ours("--transport pg_basebackup") },
      {
        name: "pg_basebackup, zstd",
        command: `${program} -h ${socket} -p ${port} -U postgres -Ft -X none -c fast -D - | zstd -qf -3 -T2 -o ${file} && sync ${file}`,
      },
      {
        name: "backup, jobs 2",
        command: ours(parallel ? "--transport parallel --jobs 2" : ""),
      },
      { name: "pgbackrest", command: peer?.backup ?? "true" },
    ],
    runs,
  );
  const streamed = (name: string, side: Measured[]) =>
    comparedRow({
      what: `full backup, \`${name}\``,
      ours: side.map(({ seconds }) => seconds),
      peer: "`pg_basebackup` to `zstd -3 -T2`, fsync",
      theirs: plain.map(({ seconds }) => seconds),
      unit: "s",
      target: { atMost: 1.1 },
    });
  return [
    streamed("wire", wire),
    streamed("pg_basebackup", program1),
    ...(parallel ? [] : [missingRow("full backup, jobs 2", "not available; `auto` stands for it")]),
    ...(peer ? againstPgBackRest(jobs, theirs) : []),
    valueRow({
      what: "full backup, peak memory",
      values: [...wire, ...program1, ...jobs].map(({ peakMb }) => peakMb),
      unit: "MB",
      target: { atMost: 300, worst: true },
    }),
  ];
}

function againstPgBackRest(ours: Measured[], theirs: Measured[]): Row[] {
  return [
    comparedRow({
      what: "full backup, two jobs",
      ours: ours.map(({ seconds }) => seconds),
      peer: "pgBackRest, process-max 2, zst 3",
      theirs: theirs.map(({ seconds }) => seconds),
      unit: "s",
      target: { atMost: 1 },
    }),
    comparedRow({
      what: "the same, the machine's CPU",
      ours: ours.map(({ machineSeconds }) => machineSeconds),
      peer: "pgBackRest",
      theirs: theirs.map(({ machineSeconds }) => machineSeconds),
      unit: "s",
      target: { atMost: 1.1 },
    }),
  ];
}
