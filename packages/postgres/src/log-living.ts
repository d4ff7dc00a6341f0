import type { LogArchive, TimelinePath } from "./log-archive.ts";
import { lastTransaction } from "./log-end.ts";

/** A run of segments along a timeline. */
export interface TimelineEnd {
  readonly path: TimelinePath;
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * Of several timelines the one that lives: whose last transaction is the newest. A copy that was
 * started beside its original, to look at something, archives a newer timeline in which nothing is committed;
 * the server's own `recovery_target_timeline = 'latest'` would follow it, and lose what the original
 * committed since. After a promotion or a recovery that took the original's place, commits go on in the
 * newer timeline, and so it wins. Of equals the newer timeline.
 * @returns the run, and its last transaction in microseconds since 1970; undefined of none
 */
export async function livingOf<Run extends TimelineEnd>(
  archive: LogArchive,
  runs: readonly Run[],
): Promise<{ of: Run; last: number | undefined } | undefined> {
  let living: { of: Run; last: number | undefined } | undefined;
  for (const run of runs.toSorted((a, b) => b.path.timeline - a.path.timeline)) {
    const last = await lastTransaction(archive, run.path, run.first, run.last);
    if (!living || (last ?? 0) > (living.last ?? 0)) living = { of: run, last };
  }
  return living;
}
