import { setTimeout as sleep } from "node:timers/promises";
import type { WriterReport } from "../sqlite/keep-pace.ts";
import { PacedWriter } from "../sqlite/paced-writer.ts";
import { fillProductDatabase } from "../sqlite/product-database.ts";
import { type Row, valueRow } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import { Migration } from "./migration.ts";
import type { Target } from "./target.ts";

/** More than any disk takes: the writer commits as fast as it can. */
const AS_FAST_AS_POSSIBLE = 1_000_000;
/** What a busy product does. */
const PACED = 1_000;

interface Kept {
  /** Of the commits that it made alone, in percent. */
  readonly whileCopied: number;
  readonly whileCaptured: number;
}

/** What capture and load take of the commits of a product that writes as fast as it can, and of one at a steady pace. */
export async function captureRows(request: BenchRequest, target: Target): Promise<Row[]> {
  const { workplace, small, runs } = request;
  const path = workplace.at("live.db");
  await fillProductDatabase(path, small ? 30 : 300);
  const source = { name: "live", path, tables: {} };
  const migration = await Migration.of(source, target, workplace);
  const rows: Row[] = [];
  for (const [synchronous, atLeast] of [
    ["FULL", 90],
    ["NORMAL", 75],
  ] as const) {
    const kept: Kept[] = [];
    for (let run = 0; run < runs; run++)
      kept.push(await keptWhileLoading(migration, synchronous, small ? 2_000 : 5_000));
    rows.push(
      valueRow({
        what: `commits kept while captured and copied, synchronous=${synchronous}`,
        values: kept.map(({ whileCopied }) => whileCopied),
        unit: "%",
        target: { atLeast },
      }),
      valueRow({
        what: `commits kept while only captured, synchronous=${synchronous}`,
        values: kept.map(({ whileCaptured }) => whileCaptured),
        unit: "%",
      }),
    );
  }
  const paced: WriterReport[] = [];
  for (let run = 0; run < runs; run++) paced.push(await whileLoading(migration));
  return [
    ...rows,
    valueRow({
      what: `commits kept of ${PACED} a second while captured and copied, synchronous=FULL`,
      values: paced.map((report) => (rate(report) * 100) / PACED),
      unit: "%",
    }),
    valueRow({
      what: "the same, a commit's p99",
      values: paced.map(({ p99 }) => p99),
      unit: "ms",
    }),
  ];
}

async function whileLoading(migration: Migration): Promise<WriterReport> {
  await migration.anew();
  await using writer = await PacedWriter.start(migration.source.path, PACED, "FULL");
  return await writer.during(() => migration.command.json("migrate load"));
}

/** Alone before and after, since what else happens on the machine changes meanwhile. */
async function keptWhileLoading(
  migration: Migration,
  synchronous: "FULL" | "NORMAL",
  milliseconds: number,
): Promise<Kept> {
  const { command, source } = migration;
  await migration.anew();
  await using writer = await PacedWriter.start(source.path, AS_FAST_AS_POSSIBLE, synchronous);
  const before = await writer.during(() => sleep(milliseconds));
  const copied = await writer.during(() => command.json("migrate load"));
  const captured = await writer.during(() => sleep(milliseconds));
  await command.json("migrate abort");
  const after = await writer.during(() => sleep(milliseconds));
  const alone = (rate(before) + rate(after)) / 2;
  return {
    whileCopied: (rate(copied) * 100) / alone,
    whileCaptured: (rate(captured) * 100) / alone,
  };
}

function rate({ commits, seconds }: WriterReport): number {
  return commits / seconds;
}
