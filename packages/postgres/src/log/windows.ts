import type { RecoveryWindow } from "@lifeboat/core";
import type { Chain, Log } from "./chains.ts";
import { type LogEnd, readLogEnd } from "./end.ts";

/** A window together with what a plan needs to recover to its end. */
export interface LogWindow {
  readonly window: RecoveryWindow;
  /** The backups that it can be reached from, oldest first. */
  readonly chains: readonly [Chain, ...Chain[]];
  readonly end: LogEnd;
}

/**
 * Backups that share a timeline and a run of WAL without a hole share a window: from the instant
 * that the oldest of them holds, up to the latest that the run's own records tell of.
 */
export async function logWindows(log: Log): Promise<LogWindow[]> {
  const windows: LogWindow[] = [];
  for (const chains of runsOf(log)) {
    const window = await windowOf(log, chains);
    if (window) windows.push(window);
  }
  return windows.sort((a, b) => (a.window.from < b.window.from ? -1 : 1));
}

function runsOf({ chains }: Log): [Chain, ...Chain[]][] {
  const runs = new Map<string, [Chain, ...Chain[]]>();
  for (const chain of chains) {
    // A run that ends before it reaches its timeline is the parent's, and found there.
    if (chain.path.segment(chain.runEnd).timeline !== chain.path.timeline) continue;
    const key = `${chain.path.timeline}/${chain.runEnd}`;
    const run = runs.get(key);
    if (run) run.push(chain);
    else runs.set(key, [chain]);
  }
  return [...runs.values()];
}

async function windowOf(log: Log, chains: [Chain, ...Chain[]]): Promise<LogWindow | undefined> {
  const [{ base, path, runEnd }] = chains;
  const end = await readLogEnd(log.archive, path, base.firstSegment, runEnd);
  if (!end) return undefined;
  const [oldest, ...more] = chains.filter((each) => each.base.lastSegment <= end.segment);
  if (!oldest) return undefined;
  const from = [oldest, ...more].map((each) => each.base.manifest.consistentAt).sort()[0] as string;
  const window: RecoveryWindow = {
    engine: "postgres",
    database: log.archive.folder.database,
    timeline: path.timeline,
    from,
    to: instantOf(end.evidence, from),
  };
  return { window, chains: [oldest, ...more], end };
}

/**
 * The millisecond that holds everything up to this microsecond, and no instant before `least`.
 * Rounded up, or the instant would lie before the commit that it is taken from.
 */
export function instantOf(micros: number | undefined, least: string): string {
  return new Date(Math.max(Math.ceil((micros ?? 0) / 1000), Date.parse(least))).toISOString();
}
