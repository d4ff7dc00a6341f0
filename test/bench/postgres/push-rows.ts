import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stopped } from "../stopped.ts";
import { comparedRow, type Target as Goal, missingRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest, Workplace } from "../workplace.ts";
import { archiveCommands, residentCommand } from "./archive-commands.ts";
import type { BenchCluster } from "./bench-cluster.ts";
import type { PgBackRest } from "./pgbackrest.ts";
import { archiveAll, fillSegments } from "./wal-load.ts";

/** WAL push through the real archiver, at zstd's level 1: each contestant gets as many segments of the same load. */
export async function pushRows(
  bench: BenchCluster,
  peer: PgBackRest | undefined,
  { workplace, runs, small }: BenchRequest,
): Promise<Row[]> {
  const commands = await archiveCommands(bench, peer);
  const count = small ? 8 : 48;
  const resident = await startResident(bench, workplace);
  const contestants = Object.entries({
    floor: "true",
    plain: commands.plain,
    lifeboat: commands.lifeboat,
    resident: resident?.line,
    pgBackRest: commands.pgBackRest,
  });
  const times: Record<string, number[]> = {};
  for (let run = 0; run < runs; run++)
    for (const [name, command] of contestants) {
      if (command === undefined) continue;
      await fillSegments(bench, count);
      const { segments, seconds } = await archiveAll(bench, command);
      times[name] = [...(times[name] ?? []), (seconds * 1000) / segments];
    }
  await bench.archiveBy("true");
  await resident?.stop();
  const rowsOf = (what: string, key: string, targets: { plain?: Goal; pgBackRest?: Goal }) =>
    pairOfRows({ what, ours: times[key] ?? [], times, targets });
  return [
    valueRow({
      what: "WAL push: `true`, the archiver alone",
      values: times.floor ?? [],
      unit: "ms a segment",
    }),
    ...rowsOf("WAL push, a process a segment", "lifeboat", {}),
    ...(resident === undefined
      ? [missingRow("WAL push, resident", "not available")]
      : rowsOf("WAL push, resident", "resident", {
          plain: { atMost: 1 },
          pgBackRest: { atLeast: 1.5 },
        })),
  ];
}

/** Against plain tools, and where it is here against pgBackRest. */
function pairOfRows(init: {
  what: string;
  ours: number[];
  times: Record<string, number[]>;
  targets: { plain?: Goal; pgBackRest?: Goal };
}): Row[] {
  const { what, ours, times, targets } = init;
  const plain = comparedRow({
    what,
    ours,
    peer: "`cp`, fsync, `mv`",
    theirs: times.plain ?? [],
    unit: "ms a segment",
    ...(targets.plain ? { target: targets.plain } : {}),
  });
  if (!times.pgBackRest) return [plain];
  const perSecond = (side: number[]) => side.map((ms) => 1000 / ms);
  return [
    plain,
    comparedRow({
      what: `${what}, segments a second`,
      ours: perSecond(ours),
      peer: "pgBackRest, asynchronous, process-max 2",
      theirs: perSecond(times.pgBackRest),
      unit: "segments/s",
      ...(targets.pgBackRest ? { target: targets.pgBackRest } : {}),
    }),
  ];
}

interface Resident {
  /** For the archiver's shell. */
  readonly line: string;
  stop(): Promise<void>;
}

/** Starts `watch`, and waits until the archiver can reach it; undefined where there is no such thing yet. */
async function startResident(
  { cluster, command }: BenchCluster,
  workplace: Workplace,
): Promise<Resident | undefined> {
  const line = (await command.knows("watch")) ? await residentCommand(command) : undefined;
  if (line === undefined) return undefined;
  const watch = spawn("bash", ["-c", `exec ${command.line} watch --quiet`], { stdio: "inherit" });
  workplace.atEnd(() => stopped(watch));
  const pipes = join(cluster.dataDirectory, "pg_wal", "lifeboat.push", "pid");
  while (!existsSync(pipes)) {
    if (watch.exitCode !== null) throw new Error("lifeboat watch ended before it listened");
    await sleep(50);
  }
  return { line, stop: () => stopped(watch) };
}
