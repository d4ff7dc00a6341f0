import type { RecoveryPlan, RestoreRequest } from "@lifeboat/core";
import type { PostgresDetails } from "../details.ts";
import { microsOf } from "../log/plan-time.ts";
import { readSegment } from "../wal/archived-segment.ts";
import { type LogArchive, readLogArchive, storedAt, TimelinePath } from "../wal/log-archive.ts";
import { type Lsn, lsnOf } from "../wal/lsn.ts";
import type { WalMark } from "../wal/mark.ts";
import { RecordScanner } from "../wal/record-scanner.ts";
import { segmentAt, segmentBefore, segmentName, segmentStart } from "../wal/segment-name.ts";

/**
 * Reads all WAL that the copy will need, from the backup's start up to the target, as the server will
 * when it is started: what is damaged must be known before the copy gets its name, and not when it is
 * started in place of the database.
 * @throws LifeboatError `CHECKSUM_MISMATCH`, `WAL_INVALID`, `WAL_FOREIGN`, naming the object
 */
export async function proveRecovery(
  { folder, plan, report, signal }: Pick<RestoreRequest, "folder" | "plan" | "report" | "signal">,
  details: PostgresDetails,
): Promise<void> {
  const { walSegmentBytes: segmentBytes } = details;
  const archive = await readLogArchive(folder, segmentBytes);
  const path = new TimelinePath(archive, plan.timeline ?? details.timeline);
  const first = segmentAt(lsnOf(details.startLsn), segmentBytes);
  const consistent = segmentBefore(lsnOf(details.stopLsn), segmentBytes);
  const isPast = pastTarget(plan);
  const scanner = new RecordScanner({ start: segmentStart(first, segmentBytes), segmentBytes });
  let past = false;
  for (let number = first; isThere(archive, path, number); number++) {
    signal.throwIfAborted();
    const ref = path.segment(number);
    report({ note: `check WAL ${segmentName(ref.timeline, ref.number, segmentBytes)}` });
    for await (const chunk of readSegment(folder, ref, segmentBytes))
      for (const mark of scanner.push(chunk)) past ||= isPast(mark);
    past ||= isPast({ lsn: segmentStart(number + 1n, segmentBytes) });
    if (past && number >= consistent) return;
  }
}

/** The server stops at the first transaction of either end that is later. */
function isEnd(mark: WalMark): mark is Extract<WalMark, { kind: "commit" | "abort" }> {
  return mark.kind === "commit" || mark.kind === "abort";
}

/** Where the run ends the recovery ends, or was refused by the plan. */
function isThere(archive: LogArchive, path: TimelinePath, number: bigint): boolean {
  return storedAt(archive, path.segment(number)) !== undefined;
}

/** Whether a place in the WAL lies past what the server will replay. */
function pastTarget({ target }: RecoveryPlan): (place: WalMark | { readonly lsn: Lsn }) => boolean {
  switch (target.kind) {
    case "backup":
    case "immediate":
      return () => true;
    case "lsn": {
      const end = lsnOf(target.lsn);
      return ({ lsn }) => lsn > end;
    }
    case "time": {
      const micros = microsOf(target);
      return (place) => "kind" in place && isEnd(place) && place.micros > micros;
    }
    default:
      return () => false;
  }
}
