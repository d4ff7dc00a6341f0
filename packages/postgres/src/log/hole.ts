import type { DatabaseFolder, Finding, Manifest } from "@lifeboat/core";
import { type LogArchive, newestSegment, storedAt, walTimelines } from "../wal/log-archive.ts";
import { segmentName } from "../wal/segment-name.ts";
import { hasHole, readLog } from "./chains.ts";

/** Several pushers at once store a segment before the one in front of it: so long that is no hole yet. */
const SETTLED_MS = 60_000;

/**
 * Whether WAL is missing that nobody will bring any more, and no backup lies behind it: then all that is archived is of no use, and
 * the archiver, which has its success, does not tell. Only of the timeline that is written now.
 */
export async function holeFindings(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
): Promise<Finding[]> {
  const log = await readLog(folder, backups);
  const timeline = log && timelineInUse(log.archive);
  if (!log || timeline === undefined) return [];
  const chains = log.chains.filter(({ path }) => path.timeline === timeline);
  const best = chains.toSorted((a, b) => Number(b.runEnd - a.runEnd))[0];
  if (!best || !hasHole(log, best)) return [];
  const { archive } = log;
  const newest = newestSegment(archive, timeline) ?? best.runEnd;
  let behind = best.runEnd + 1n;
  while (behind < newest && !storedAt(archive, best.path.segment(behind))) behind++;
  const since = storedAt(archive, best.path.segment(behind));
  if (!since || Date.now() - since.getTime() < SETTLED_MS) return [];
  const missing = best.path.segment(best.runEnd + 1n);
  const name = segmentName(missing.timeline, missing.number, archive.segmentBytes);
  return [
    {
      id: "archive-hole",
      severity: "error",
      summary: `WAL segment ${name} is missing from ${folder.path}/wal, and no backup lies behind it: nothing that was committed since can be recovered, although later segments are archived`,
      remedy: `take a new backup: lifeboat backup; or archive ${name} from the server's pg_wal, if it is still there`,
    },
  ];
}

/** The one of which something was stored last. */
function timelineInUse(archive: LogArchive): number | undefined {
  let found: { readonly timeline: number; readonly at: Date } | undefined;
  for (const timeline of walTimelines(archive)) {
    const number = newestSegment(archive, timeline);
    const at = number === undefined ? undefined : storedAt(archive, { timeline, number });
    if (at && (!found || at > found.at)) found = { timeline, at };
  }
  return found?.timeline;
}
