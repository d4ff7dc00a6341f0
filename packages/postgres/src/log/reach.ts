import type { DatabaseFolder, Manifest, Reach } from "@lifeboat/core";
import { readLog } from "./chains.ts";
import { holeFindings } from "./hole.ts";
import { logWindows } from "./windows.ts";

/** What backups and WAL lead to, of which the WAL is listed once. */
export async function logReach(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
): Promise<Reach> {
  const log = await readLog(folder, backups);
  if (!log) return { windows: [], holes: [] };
  const windows = (await logWindows(log)).map(({ window }) => window);
  return { windows, holes: holeFindings(log) };
}
