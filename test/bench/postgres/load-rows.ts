import { glob, readFile, rm } from "node:fs/promises";
import { execa } from "execa";
import { measure } from "../measure.ts";
import { quantile } from "../spread.ts";
import { comparedRow, missingRow, type Row } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import type { BenchCluster } from "./bench-cluster.ts";

interface Load {
  readonly p99: number;
  readonly transactionsPerSecond: number;
  /** How long each backup took that ran meanwhile. */
  readonly backups: number[];
}

/** What pgbench notices of backups, throttled and not. */
export async function loadRows(
  { cluster, command }: BenchCluster,
  { workplace, runs, small }: BenchRequest,
): Promise<Row[]> {
  const seconds = small ? 5 : 30;
  const adaptive = await command.knows("backup --wal stream --max-rate adaptive");
  const backup = `${command.line} backup --quiet --wal stream`;
  const alone: Load[] = [];
  const plain: Load[] = [];
  const gentle: Load[] = [];
  const under = (words?: string) =>
    load({ url: cluster.superuserUrl, prefix: workplace.at("pgbench"), seconds, backup: words });
  for (let run = 0; run < runs; run++) {
    alone.push(await under());
    plain.push(await under(backup));
    if (adaptive) gentle.push(await under(`${backup} --max-rate adaptive`));
  }
  const p99 = (side: Load[]) => side.map((each) => each.p99);
  const rate = (side: Load[]) => side.map((each) => each.transactionsPerSecond);
  const row = (what: string, side: Load[], atMost?: number) =>
    comparedRow({
      what,
      ours: p99(side),
      peer: "no backup",
      theirs: p99(alone),
      unit: "ms",
      ...(atMost === undefined ? {} : { target: { atMost } }),
    });
  const rows = [
    row("pgbench's p99 under an unthrottled backup", plain),
    comparedRow({
      what: "its throughput meanwhile",
      ours: rate(plain),
      peer: "no backup",
      theirs: rate(alone),
      unit: "/s",
    }),
  ];
  if (!adaptive) return [...rows, missingRow("the same with `adaptive`", "not available")];
  return [
    ...rows,
    row("pgbench's p99 with `adaptive`", gentle, 1.2),
    comparedRow({
      what: "the backup's own time with `adaptive`",
      ours: gentle.map(({ backups }) => quantile(backups, 0.5)),
      peer: "unthrottled",
      theirs: plain.map(({ backups }) => quantile(backups, 0.5)),
      unit: "s",
      target: { atMost: 4 },
    }),
  ];
}

/** pgbench for a while, backups one after the other beside it. */
async function load(init: {
  url: string;
  prefix: string;
  seconds: number;
  backup: string | undefined;
}): Promise<Load> {
  const { url, prefix, seconds, backup } = init;
  for await (const log of glob(`${prefix}.*`)) await rm(log);
  let running = true;
  const options = [`--time=${seconds}`, "--client=4", "--log", `--log-prefix=${prefix}`];
  const pgbench = execa("pgbench", [...options, url]).finally(() => {
    running = false;
  });
  const backups: number[] = [];
  // The last one may end after pgbench has: it counts, since it ran beside it for most of its time.
  while (running && backup)
    backups.push((await measure({ name: "backup", command: backup })).seconds);
  await pgbench;
  const milliseconds: number[] = [];
  for await (const log of glob(`${prefix}.*`))
    for (const line of (await readFile(log, "utf8")).trimEnd().split("\n"))
      milliseconds.push(Number(line.split(" ")[2]) / 1000);
  return {
    p99: quantile(milliseconds, 0.99),
    transactionsPerSecond: milliseconds.length / seconds,
    backups,
  };
}
