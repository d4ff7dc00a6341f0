import type { Finding, RecoveryPlan } from "@lifeboat/core";
import { type LogArchive, newestSegment } from "../wal/log-archive.ts";
import { formatLsn, lsnOf } from "../wal/lsn.ts";
import { segmentBefore } from "../wal/segment-name.ts";

/**
 * Where a primary went on after its standby was promoted, or had archived what the standby never got, commits lie in the repository that no copy
 * along the newer timeline has. A segment behind the one in which the older was left tells so: of a primary that was shut down in order there is
 * none.
 */
export function olderTimelines(
  archive: LogArchive,
  { timeline, willRecoverTo: { lsn } }: Pick<RecoveryPlan, "timeline" | "willRecoverTo">,
): Finding[] {
  const steps = archive.histories.get(timeline ?? 0) ?? [];
  return steps.flatMap(({ timeline: older, switchPoint }) => {
    const newest = newestSegment(archive, older);
    const isAlone =
      newest === undefined || newest <= segmentBefore(switchPoint, archive.segmentBytes);
    // What lies before is the past of both.
    if (isAlone || (lsn !== null && lsnOf(lsn) <= switchPoint)) return [];
    return {
      id: "older-timeline-went-on",
      severity: "warning",
      summary: `the copy follows timeline ${timeline}, which left timeline ${older} at ${formatLsn(switchPoint)}; in the repository that one goes on: what was committed there since is not in the copy`,
      remedy: `right if the newer one took over; to see what the other has, restore it beside with --timeline ${older}`,
    };
  });
}
