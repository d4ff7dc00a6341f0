import { setTimeout as sleep } from "node:timers/promises";
import { measure } from "../measure.ts";
import { PacedWriter } from "../sqlite/paced-writer.ts";
import type { WriterReport } from "../sqlite/paced-writer-process.ts";
import { fillProductDatabase } from "../sqlite/product-database.ts";
import { missingRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest, Command } from "../workplace.ts";
import type { Target } from "./target.ts";

const CUTOVERS = 20;
const RATE = 1_000;
/** More than any disk takes: the writer commits as fast as it can. */
const AS_FAST_AS_POSSIBLE = 1_000_000;

/** What a product notices of its migration: while it is captured and copied, and at the cutover. */
export async function liveRows(request: BenchRequest, target: Target): Promise<Row[]> {
  const { workplace, small } = request;
  const path = workplace.at("live.db");
  const command = await workplace.command("migrate-live", {
    sqlite: { path },
    postgres: { url: target.url },
  });
  if (!(await command.knows("migrate cutover")))
    return [
      missingRow("write hold at the cutover, at 1,000 commits/s", "not available"),
      missingRow("commits kept while captured and copied", "not available"),
    ];
  await fillProductDatabase(path, small ? 10 : 300);
  const rows: Row[] = [];
  for (const [synchronous, atLeast] of [
    ["FULL", 90],
    ["NORMAL", 75],
  ] as const)
    rows.push(
      valueRow({
        what: `commits kept while captured and copied, synchronous=${synchronous}`,
        values: await keptWhileLoading({ command, target, path, synchronous, runs: request.runs }),
        unit: "%",
        target: { atLeast },
      }),
    );
  const held = await holds(request, target, small ? 2 : CUTOVERS);
  return [
    valueRow({
      what: `write hold at the cutover, at 1,000 commits/s, ${held.length} cutovers`,
      values: held,
      unit: "ms",
      target: { atMost: 50 },
    }),
    valueRow({
      what: "the same, worst",
      values: [Math.max(...held)],
      unit: "ms",
      target: { atMost: 250 },
    }),
    ...rows,
  ];
}

async function keptWhileLoading(init: {
  command: Command;
  target: Target;
  path: string;
  synchronous: "FULL" | "NORMAL";
  runs: number;
}): Promise<number[]> {
  const { command, target, path, synchronous, runs } = init;
  const rate = ({ commits, seconds }: WriterReport) => commits / seconds;
  const kept: number[] = [];
  for (let run = 0; run < runs; run++) {
    await target.anew();
    await using writer = await PacedWriter.start(path, AS_FAST_AS_POSSIBLE, synchronous);
    const alone = await writer.during(() => sleep(5_000));
    const loading = await writer.during(() =>
      measure({ name: "migrate load", command: `${command.line} migrate load --quiet` }),
    );
    kept.push((rate(loading) * 100) / rate(alone));
    await command.json("migrate abort");
  }
  return kept;
}

/** A migration of its own each time, with a product that writes until it is refused. */
async function holds(
  { workplace }: BenchRequest,
  target: Target,
  times: number,
): Promise<number[]> {
  const held: number[] = [];
  for (let n = 0; n < times; n++) {
    const path = workplace.at(`cutover-${n}.db`);
    await fillProductDatabase(path, 10);
    const command = await workplace.command(`cutover-${n}`, {
      sqlite: { path },
      postgres: { url: target.url },
    });
    await target.anew();
    await using _ = await PacedWriter.start(path, RATE);
    await command.json("migrate load");
    await command.json("migrate sync --until caught-up");
    const gates = ["verified", "archive", "drill", "disk"]
      .map((gate) => `--skip ${gate}`)
      .join(" ");
    const { holdSeconds } = await command.json<{ holdSeconds: number }>(`migrate cutover ${gates}`);
    held.push(holdSeconds * 1000);
  }
  return held;
}
