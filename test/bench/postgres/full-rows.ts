import { programPath } from "@lifeboat/postgres";
import { inTurn, type Measured } from "../measure.ts";
import { comparedRow, missingRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import type { BenchCluster } from "./bench-cluster.ts";
import type { PgBackRest } from "./pgbackrest.ts";

/** Full backups in one stream, from a server that archives nothing, so that nobody waits for an archiver. */
export async function streamedRows(
  { cluster, command }: BenchCluster,
  { workplace, runs }: BenchRequest,
): Promise<Row[]> {
  const { port, server, programs } = cluster;
  const file = workplace.at("base.tar.zst");
  const program = programPath(programs, "pg_basebackup");
  const ours = (transport: string) => ({
    name: `backup, ${transport}`,
    command: `${command.line} backup --quiet --wal stream --transport ${transport}`,
  });
  const [wire, program1, plain] = await inTurn(
    [
      ours("wire"),
      ours("pg_basebackup"),
      {
        name: "pg_basebackup, zstd",
        command: `${program} -h ${server.socketDirectory} -p ${port} -U postgres -Ft -X none -c fast -D - | zstd -qf -3 -T2 -o ${file} && sync ${file}`,
      },
    ],
    runs,
  );
  const rowsOf = (name: string, side: Measured[]) => [
    comparedRow({
      what: `full backup, one stream, \`${name}\``,
      ours: side.map(({ seconds }) => seconds),
      peer: "`pg_basebackup` to `zstd -3 -T2`, fsync",
      theirs: plain.map(({ seconds }) => seconds),
      unit: "s",
      target: { atMost: 1.1 },
    }),
    comparedRow({
      what: "the same, the machine's CPU",
      ours: side.map(({ machineSeconds }) => machineSeconds),
      peer: "the same",
      theirs: plain.map(({ machineSeconds }) => machineSeconds),
      unit: "s",
    }),
    memoryRow(`full backup, \`${name}\`, peak memory`, side),
  ];
  return [...rowsOf("wire", wire), ...rowsOf("pg_basebackup", program1)];
}

/** Full backups with two jobs against pgBackRest's. */
export async function parallelRows(
  { command }: BenchCluster,
  peer: PgBackRest | undefined,
  { runs }: BenchRequest,
): Promise<Row[]> {
  const parallel = await command.knows("backup --jobs 2 --wal stream");
  const options = parallel ? "--transport parallel --jobs 2" : "";
  const [ours, theirs] = await inTurn(
    [
      {
        name: "backup, jobs 2",
        command: `${command.line} backup --quiet --wal stream ${options}`,
      },
      { name: "pgbackrest", command: peer?.backup ?? "true" },
    ],
    runs,
  );
  return [
    ...(parallel ? [] : [missingRow("full backup, jobs 2", "not available; `auto` stands for it")]),
    ...(peer ? againstPgBackRest(ours, theirs) : []),
    memoryRow("full backup, two jobs, peak memory", ours),
  ];
}

function memoryRow(what: string, side: Measured[]): Row {
  const values = side.map(({ peakMb }) => peakMb);
  return valueRow({ what, values, unit: "MB", target: { atMost: 300, worst: true } });
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
