import type { LogArchive, TimelinePath } from "../wal/log-archive.ts";
import type { Base, Log } from "./chains.ts";
import { lastTransaction } from "./end.ts";
import type { LogWindow } from "./windows.ts";

/** A run of segments along a timeline. */
export interface TimelineEnd {
  readonly path: TimelinePath;
  readonly first: bigint;
  readonly last: bigint;
  /** The backups that can be recovered along it. */
  readonly bases: readonly Base[];
}

/**
 * Of several timelines the one that lives: whose last transaction is the newest, or whose own backup
 * is newer than that. A copy that was
 * started beside its original, to look at something, archives a newer timeline in which nothing is committed;
 * the server's own `recovery_target_timeline = 'latest'` would follow it, and lose what the original
 * committed since. After a promotion or a recovery that took the original's place, commits go on in the
 * newer timeline, and so it wins. Before the first of those, a backup of the newer timeline says that
 * it is the product's: nobody backs up a copy to look at. Of equals the newer timeline.
 * @returns the run, and its last transaction in microseconds since 1970; undefined of none
 */
export async function livingOf<Run extends TimelineEnd>(
  archive: LogArchive,
  runs: readonly Run[],
): Promise<{ of: Run; last: number | undefined } | undefined> {
  let living: { of: Run; last: number | undefined; sign: number } | undefined;
  for (const run of runs.toSorted((a, b) => b.path.timeline - a.path.timeline)) {
    const last = await lastTransaction(archive, run.path, run.first, run.last);
    const sign = Math.max(last ?? 0, ...backupsOf(run));
    if (!living || sign > living.sign) living = { of: run, last, sign };
  }
  return living;
}

/** When backups of this very timeline were taken, in microseconds; one of its past is shared with others. */
function backupsOf({ bases, path }: TimelineEnd): number[] {
  return bases
    .filter(({ details }) => details.timeline === path.timeline)
    .map(({ manifest }) => Date.parse(manifest.consistentAt) * 1000);
}

/** The same among windows. */
export async function livingWindow(
  { archive }: Log,
  windows: readonly LogWindow[],
): Promise<{ window: LogWindow; last: number | undefined } | undefined> {
  const ends = windows.map((window) => {
    const [{ base, path }] = window.chains;
    const bases = window.chains.map((chain) => chain.base);
    return { window, path, first: base.firstSegment, last: window.end.segment, bases };
  });
  const living = await livingOf(archive, ends);
  return living && { window: living.of.window, last: living.last };
}
