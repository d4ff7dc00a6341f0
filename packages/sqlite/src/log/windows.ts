import type { DatabaseFolder, Manifest, RecoveryWindow } from "@lifeboat/core";
import { coverOf } from "./cover.ts";
import type { Lineages } from "./objects.ts";
import { loggedBackup } from "./start.ts";
import { reachedWhileIdle, stillnessOf } from "./stood-still.ts";

/**
 * Spans in which every instant can be restored: from each backup to the last commit that its lineage
 * holds without a hole, and on to a later backup where the two prove that nothing was committed in between. A backup outside
 * of the log is an instant by itself.
 * @param known with those that can't be restored themselves: they tell when nothing was committed
 */
export async function windowsIn(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  lineages: Lineages,
  known: readonly Manifest[] = backups,
): Promise<readonly RecoveryWindow[]> {
  const stillness = await stillnessOf(folder, known, lineages);
  const endOf = (manifest: Manifest) =>
    reachedWhileIdle(manifest, endOfLog(manifest, lineages), { lineages, stillness });
  const spans = backups
    .map((manifest): [string, string] => [
      manifest.consistentAt,
      new Date(endOf(manifest)).toISOString(),
    ])
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const windows: [string, string][] = [];
  for (const [from, to] of spans) {
    const before = windows.at(-1);
    if (!before || before[1] < from) windows.push([from, to]);
    else if (before[1] < to) before[1] = to;
  }
  return windows.map(([from, to]) => ({
    engine: "sqlite",
    database: folder.database,
    timeline: null,
    from,
    to,
  }));
}

/** The last instant, in ms, that can be restored from a backup without crossing a hole. */
export function endOfLog(manifest: Manifest, lineages: Lineages): number {
  const logged = loggedBackup(manifest, lineages);
  const own = Date.parse(manifest.consistentAt);
  if (!logged) return own;
  const frames = logged.objects.filter(({ kind }) => kind === "frames");
  const { whole } = coverOf(frames, logged.from, () => true);
  return Math.max(own, whole.at(-1)?.instant ?? own);
}
