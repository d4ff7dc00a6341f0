import { rm, stat } from "node:fs/promises";
import { inTurn } from "../measure.ts";
import { comparedRow, missingRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest, Command } from "../workplace.ts";
import type { Litestream } from "./litestream.ts";
import { heldFor } from "./manifest.ts";
import { PacedWriter } from "./paced-writer.ts";

/** One database, and how it is backed up. */
export interface Subject {
  /** As the report calls it. */
  readonly name: string;
  readonly path: string;
  /** Its folder in the repository. */
  readonly database: string;
  readonly command: Command;
  /** The same database, backed up at zstd's level 1. */
  readonly fast: Command;
  readonly litestream: Litestream | undefined;
}

const RATE = 1_000;

/** A backup against the plain tools that make the same file. */
export async function idleBackupRows(
  subject: Subject,
  { workplace, runs }: BenchRequest,
): Promise<Row[]> {
  const { name, path, command } = subject;
  const raw = workplace.at("raw.db");
  const copy = `cp ${path} ${raw} && sync ${raw}`;
  const removed = () => rm(raw, { force: true });
  const [ours, plain, copied] = await inTurn(
    [
      { name: "lifeboat backup", command: `${command.line} backup --json` },
      {
        name: "cp, zstd",
        command: `${copy} && zstd -qf -3 -T2 ${raw} -o ${raw}.zst && sync ${raw}.zst`,
        before: removed,
      },
      { name: "cp, fsync", command: copy, before: removed },
    ],
    runs,
  );
  const pinned: number[] = [];
  const stored: number[] = [];
  for (const { stdout } of ours) {
    pinned.push((await heldFor(command, subject.database, stdout)).copySeconds);
    stored.push((JSON.parse(stdout) as { storedBytes: number }).storedBytes / 1e6);
  }
  const { size } = await stat(`${raw}.zst`);
  return [
    comparedRow({
      what: `${name}: backup, stored`,
      ours: ours.map(({ seconds }) => seconds),
      peer: "`cp`, fsync, `zstd -3 -T2`, fsync",
      theirs: plain.map(({ seconds }) => seconds),
      unit: "s",
      target: { atMost: 1.2 },
    }),
    comparedRow({
      what: `${name}: the same, CPU`,
      ours: ours.map(({ cpuSeconds }) => cpuSeconds),
      peer: "the same",
      theirs: plain.map(({ cpuSeconds }) => cpuSeconds),
      unit: "s",
    }),
    comparedRow({
      what: `${name}: the same, bytes stored`,
      ours: stored,
      peer: "the same",
      theirs: stored.map(() => size / 1e6),
      unit: "MB",
    }),
    comparedRow({
      what: `${name}: snapshot until the pin is let go`,
      ours: pinned,
      peer: "`cp`, fsync",
      theirs: copied.map(({ seconds }) => seconds),
      unit: "s",
      target: { atMost: 1.1 },
    }),
    valueRow({
      what: `${name}: backup, peak memory`,
      values: ours.map(({ peakMb }) => peakMb),
      unit: "MB",
      target: { atMost: 300, worst: true },
    }),
  ];
}

/** What a writer at 1,000 commits a second notices of backups. */
export async function writerRows(subject: Subject, backups: number): Promise<Row[]> {
  const { name, path, command, database } = subject;
  await using writer = await PacedWriter.start(path, RATE);
  const kept: number[] = [];
  const p99: number[] = [];
  const held: number[] = [];
  const alone = await writer.during(() => new Promise((resolve) => setTimeout(resolve, 5_000)));
  for (let n = 0; n < backups; n++) {
    let report: unknown;
    const during = await writer.during(async () => {
      report = await command.json("backup");
    });
    kept.push(((during.commits / during.seconds) * 100) / (alone.commits / alone.seconds));
    p99.push(during.p99);
    held.push((await heldFor(command, database, JSON.stringify(report))).heldMilliseconds);
  }
  return [
    valueRow({
      what: `${name}: commits kept during a backup, at ${RATE}/s`,
      values: kept,
      unit: "%",
      target: { atLeast: 97 },
      against: `${(alone.commits / alone.seconds).toFixed(0)}/s alone`,
    }),
    valueRow({
      what: `${name}: a commit's p99 meanwhile`,
      values: p99,
      unit: "ms",
      against: `${alone.p99.toFixed(2)} ms alone`,
    }),
    valueRow({
      what: `${name}: writers held at the gate, ${backups} backups`,
      values: held,
      unit: "ms",
      target: { atMost: 25, worst: true },
    }),
  ];
}

/** A first backup against Litestream's first snapshot. */
export async function firstSnapshotRows(subject: Subject, { runs }: BenchRequest): Promise<Row[]> {
  const { name, litestream } = subject;
  if (!litestream) return [missingRow(`${name}: first snapshot`, "Litestream is not here")];
  const theirs: { seconds: number; cpuSeconds: number }[] = [];
  const ours: { seconds: number; cpuSeconds: number }[] = [];
  const fast: { cpuSeconds: number }[] = [];
  for (let run = 0; run < runs; run++) {
    await litestream.start();
    theirs.push(await litestream.firstSnapshot());
    await litestream.stop();
    const [[own = fault()], [own1 = fault()]] = await inTurn(
      [
        { name: "backup", command: `${subject.command.line} backup --quiet` },
        { name: "backup at level 1", command: `${subject.fast.line} backup --quiet` },
      ],
      1,
    );
    ours.push(own);
    fast.push(own1);
  }
  return [
    comparedRow({
      what: `${name}: first snapshot, zstd 3`,
      ours: ours.map(({ seconds }) => seconds),
      peer: "Litestream (lz4)",
      theirs: theirs.map(({ seconds }) => seconds),
      unit: "s",
      target: { atMost: 1 },
    }),
    comparedRow({
      what: `${name}: its CPU at zstd 1`,
      ours: fast.map(({ cpuSeconds }) => cpuSeconds),
      peer: "Litestream",
      theirs: theirs.map(({ cpuSeconds }) => cpuSeconds),
      unit: "s",
      target: { atMost: 1.3 },
    }),
  ];
}

function fault(): never {
  throw new Error("a run measured nothing");
}
