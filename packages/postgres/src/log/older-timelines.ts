import type { Finding, RecoveryPlan } from "@lifeboat/core";
import { postgresDetails } from "../details.ts";
import { type LogArchive, newestSegment, TimelinePath } from "../wal/log-archive.ts";
import { formatLsn, type Lsn, lsnOf } from "../wal/lsn.ts";
import { segmentAt, segmentBefore } from "../wal/segment-name.ts";
import { lastTransaction } from "./end.ts";
import { microsOf } from "./plan-time.ts";

/**
 * Where a primary went on after its standby was promoted, or had archived what the standby never got, commits lie in the repository that no copy
 * along the newer timeline has. A segment behind the one in which the older was left tells so: of a primary that was shut down in order there is
 * none.
 */
export async function olderTimelines(archive: LogArchive, plan: RecoveryPlan): Promise<Finding[]> {
  const { timeline } = plan;
  const findings: Finding[] = [];
  for (const { timeline: older, switchPoint } of archive.histories.get(timeline ?? 0) ?? []) {
    const newest = newestSegment(archive, older);
    const isAlone =
      newest === undefined || newest <= segmentBefore(switchPoint, archive.segmentBytes);
    // What lies before is the past of both.
    if (isAlone || (await endsBefore(archive, plan, switchPoint))) continue;
    findings.push({
      id: "older-timeline-went-on",
      severity: "warning",
      summary: `the copy follows timeline ${timeline}, which left timeline ${older} at ${formatLsn(switchPoint)}; in the repository that one goes on: what was committed there since is not in the copy`,
      remedy: `right if the newer one took over; to see what the other has, restore it beside with --timeline ${older}`,
    });
  }
  return findings;
}

/** Whether a plan ends before a position. Of an instant the place is not known, but which transactions lie before the position is. */
async function endsBefore(
  archive: LogArchive,
  { timeline, target, backups: [base], willRecoverTo: { lsn } }: RecoveryPlan,
  position: Lsn,
): Promise<boolean> {
  if (lsn !== null) return lsnOf(lsn) <= position;
  if (target.kind !== "time") return false;
  const { segmentBytes } = archive;
  const last = await lastTransaction(
    archive,
    new TimelinePath(archive, timeline ?? 0),
    segmentAt(lsnOf(postgresDetails(base).stopLsn), segmentBytes),
    segmentBefore(position, segmentBytes),
    position,
  );
  const micros = microsOf(target);
  return last !== undefined && (target.exclusive ? micros <= last : micros < last);
}
