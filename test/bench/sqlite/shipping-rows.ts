import { type ChildProcess, spawn } from "node:child_process";
import { glob } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { cpuSecondsOf, forgetPeaks, peakMbOf } from "../processes.ts";
import { stopped } from "../stopped.ts";
import { comparedRow, missingRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import type { Subject } from "./backup-rows.ts";
import type { WriterReport } from "./keep-pace.ts";
import type { Litestream } from "./litestream.ts";
import { PacedWriter } from "./paced-writer.ts";
import { logRestoreRows } from "./restore-rows.ts";
import { SegmentWatch } from "./segment-watch.ts";

const RATE = 1_000;

/** Until a new shipper has its base and ships. */
const SETTLE_MS = 3_000;

interface Status {
  readonly shipping?: Readonly<Record<string, unknown>>;
}

interface Shipped {
  readonly writer: WriterReport;
  readonly cpuShare: number;
  readonly peakMb: number;
}

/** The log shipped by `watch` while a product commits 1,000 times a second, and then restored. */
export async function shippingRows(subject: Subject, request: BenchRequest): Promise<Row[]> {
  const { name, command, path, litestream } = subject;
  if (!(await command.knows("watch")))
    return [
      missingRow(`${name}: shipping, recovery point, restore to an instant`, "not available"),
    ];
  const spanMs = request.small ? 10_000 : 60_000;
  await using writer = await PacedWriter.start(path, RATE);
  const alone = await writer.during(() => sleep(5_000));

  const watch = spawn("bash", ["-c", `exec ${command.line} watch --quiet`], { stdio: "inherit" });
  request.workplace.atEnd(() => stopped(watch));
  const wal = join(command.repository, "bench", "sqlite", subject.database, "wal");
  await using segments = new SegmentWatch(wal);
  await firstSegment(wal, watch);
  await sleep(SETTLE_MS);
  const from = Date.now();
  const ours = await shipped(writer, watch.pid as number, spanMs);
  const lag = segments.lag({ from, to: Date.now() });
  const at = new Date(Date.now() - spanMs / 2).toISOString();
  const status = await command.json<Status>("status");
  await stopped(watch);

  const theirs = litestream ? await litestreamShips(litestream, writer, spanMs) : undefined;
  const base = await command.json<{ backups: { id: string }[] }>("list");
  const rate = ({ commits, seconds }: WriterReport) => commits / seconds;
  return [
    valueRow({
      what: `${name}: commits kept while shipping, at ${RATE}/s`,
      values: [(rate(ours.writer) * 100) / rate(alone)],
      unit: "%",
      target: { atLeast: 95 },
      against: theirs
        ? `Litestream: ${((rate(theirs.writer) * 100) / rate(alone)).toFixed(1)} %`
        : "",
    }),
    valueRow({
      what: `${name}: a commit's p99 meanwhile (what the gate holds up is in it)`,
      values: [ours.writer.p99],
      unit: "ms",
      target: { atMost: 50 },
      against: `alone ${alone.p99.toFixed(2)} ms${theirs ? `; Litestream ${theirs.writer.p99.toFixed(2)} ms` : ""}`,
    }),
    ...(theirs
      ? [
          comparedRow({
            what: `${name}: CPU of shipping`,
            ours: [ours.cpuShare * 100],
            peer: "Litestream",
            theirs: [theirs.cpuShare * 100],
            unit: "% of a core",
            target: { atMost: 1 },
          }),
        ]
      : []),
    valueRow({
      what: `${name}: recovery point, 95 % of the time`,
      values: [lag.p95],
      unit: "s",
      target: { atMost: 1.1 },
    }),
    valueRow({
      what: `${name}: the same, worst`,
      values: [lag.worst],
      unit: "s",
      target: { atMost: 2 },
    }),
    valueRow({
      what: `${name}: shipping, peak memory`,
      values: [ours.peakMb],
      unit: "MB",
      target: { atMost: 150 },
      against: theirs ? `Litestream: ${theirs.peakMb.toFixed(0)} MB` : "",
    }),
    missingRow(
      `${name}: gate times and storage requests, as \`status\` has them`,
      `\`${JSON.stringify(status.shipping ?? null)}\``,
    ),
    ...(await logRestoreRows(subject, request, {
      walBytes: await contentBytes(wal),
      base: base.backups.at(-1)?.id ?? "",
      at,
    })),
  ];
}

/** What a shipper costs, and what the writer notices of it, over a span of time. */
async function shipped(writer: PacedWriter, pid: number, spanMs: number): Promise<Shipped> {
  // What the base needed is measured by itself.
  await forgetPeaks(pid);
  const before = await cpuSecondsOf(pid);
  const report = await writer.during(() => sleep(spanMs));
  const cpuSeconds = (await cpuSecondsOf(pid)) - before;
  return { writer: report, cpuShare: cpuSeconds / report.seconds, peakMb: await peakMbOf(pid) };
}

async function litestreamShips(
  litestream: Litestream,
  writer: PacedWriter,
  spanMs: number,
): Promise<Shipped> {
  await litestream.start();
  try {
    await litestream.firstSnapshot();
    await sleep(SETTLE_MS);
    return await shipped(writer, litestream.pid, spanMs);
  } finally {
    await litestream.stop();
  }
}

/** The watch ships once there is something of its log. */
async function firstSegment(folder: string, watch: ChildProcess): Promise<void> {
  for (;;) {
    if ((await Array.fromAsync(glob(`${folder}/*/*.wal.zst`))).length > 0) return;
    if (watch.exitCode !== null) throw new Error("lifeboat watch ended before it shipped");
    await sleep(50);
  }
}

/** How much WAL lies in a folder of the repository. */
async function contentBytes(folder: string): Promise<number> {
  const { stdout } = await execa("bash", [
    "-c",
    `find ${folder} -name '*.wal.zst' -exec zstd -dqc {} + | wc -c`,
  ]);
  return Number(stdout);
}
