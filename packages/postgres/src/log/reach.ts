import type { DatabaseFolder, Manifest, Reach } from "@lifeboat/core";
import { readLog } from "./chains.ts";
import { type ArchiveHole, holeFindings } from "./hole.ts";
import { logWindows } from "./windows.ts";

/**
 * What backups and WAL lead to, of which the WAL is listed once.
 * @param isStillToCome whether the live server, where there is one, still brings a segment
 */
export async function logReach(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  isStillToCome: (hole: ArchiveHole) => Promise<boolean>,
): Promise<Reach> {
  const log = await readLog(folder, backups);
  if (!log) return { windows: [], holes: async () => [] };
  const windows = (await logWindows(log)).map(({ window }) => window);
  return { windows, holes: () => holeFindings(log, isStillToCome) };
}
