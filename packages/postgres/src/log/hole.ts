import type { Finding } from "@lifeboat/core";
import { type LogArchive, newestSegment, storedAt, walTimelines } from "../wal/log-archive.ts";
import { segmentName } from "../wal/segment-name.ts";
import type { Log } from "./chains.ts";
import { missingSegments } from "./missing-segments.ts";

/** Several pushers at once store a segment before the one in front of it: so long that is no hole yet. */
const SETTLED_MS = 60_000;

/** A segment that is missing in front of others. */
export interface ArchiveHole {
  readonly name: string;
  readonly number: bigint;
  /** The cluster's system identifier. */
  readonly database: string;
}

/**
 * Whether WAL is missing that nobody will bring any more, and no backup lies behind it: then all that is archived is of no use, and
 * the archiver, which has its success, does not tell. Only of the timeline that is written now.
 * @param isStillToCome asks the server, where there seems to be a hole: a backup that streams its own WAL is ahead of an archiver that lags
 */
export async function holeFindings(
  { archive, bases, chains: all }: Log,
  isStillToCome: (hole: ArchiveHole) => Promise<boolean>,
): Promise<Finding[]> {
  const timeline = timelineInUse(archive);
  if (timeline === undefined) return [];
  const chains = all.filter(({ path }) => path.timeline === timeline);
  const best = chains.toSorted((a, b) => Number(b.runEnd - a.runEnd))[0];
  if (!best) return [];
  const [missing] = missingSegments(archive, best.path, { base: best.base, bases });
  const since = missing && firstStoredBehind(archive, timeline, missing.number);
  if (!since || Date.now() - since.getTime() < SETTLED_MS) return [];
  const name = segmentName(missing.timeline, missing.number, archive.segmentBytes);
  const { database } = archive.folder;
  if (await isStillToCome({ name, number: missing.number, database })) return [];
  return [
    {
      id: "archive-hole",
      severity: "error",
      summary: `WAL segment ${name} is missing from ${archive.folder.path}/wal, and no backup lies behind it: nothing that was committed since can be recovered, although later segments are archived`,
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

function firstStoredBehind(
  { segments, parts }: LogArchive,
  timeline: number,
  missing: bigint,
): Date | undefined {
  let first: Date | undefined;
  for (const [number, at] of segments.get(timeline) ?? [])
    if (number > missing && (!first || at < first)) first = at;
  return first ?? parts.get(timeline)?.storedAt;
}
