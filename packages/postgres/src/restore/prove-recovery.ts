import { LifeboatError, type RecoveryPlan, type RestoreRequest } from "@lifeboat/core";
import type { PostgresDetails } from "../details.ts";
import { microsOf } from "../log/plan-time.ts";
import { assertPlaceUnused } from "../places/tablespace-made-since.ts";
import { readSegment } from "../wal/archived-segment.ts";
import { type LogArchive, readLogArchive, storedAt, TimelinePath } from "../wal/log-archive.ts";
import { formatLsn, type Lsn, lsnOf } from "../wal/lsn.ts";
import type { WalMark } from "../wal/mark.ts";
import { RecordScanner } from "../wal/record-scanner.ts";
import { segmentAt, segmentBefore, segmentName, segmentStart } from "../wal/segment-name.ts";

/**
 * Reads all WAL that the copy will need, from the backup's start up to the target, as the server will
 * when it is started: what is damaged must be known before the copy gets its name, and not when it is
 * started in place of the database.
 * @throws LifeboatError `CHECKSUM_MISMATCH`, `WAL_INVALID`, `WAL_FOREIGN`, naming the object; what
 *   {@link RecoveryWatch} refuses
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
  const watch = new RecoveryWatch(plan, details, segmentStart(first, segmentBytes));
  for (let number = first; isThere(archive, path, number); number++) {
    signal.throwIfAborted();
    const ref = path.segment(number);
    report({ note: `check WAL ${segmentName(ref.timeline, ref.number, segmentBytes)}` });
    for await (const chunk of readSegment(folder, ref, segmentBytes)) await watch.push(chunk);
    watch.reaches(segmentStart(number + 1n, segmentBytes));
    if (watch.isOver && number >= consistent) return;
  }
}

/** Follows a recovery along its WAL, and refuses what the copy must not replay on this host. */
export class RecoveryWatch {
  /** The target is passed. What the copy needs to become consistent is replayed all the same. */
  isOver = false;
  readonly #plan: RecoveryPlan;
  readonly #details: PostgresDetails;
  readonly #scanner: RecordScanner;
  readonly #isPast: (place: WalMark | { readonly lsn: Lsn }) => boolean;
  readonly #consistent: Lsn;
  /** A recovery that replayed the record here, or one behind it, has what was promised. */
  readonly #goal: Lsn | undefined;
  /** Only from the backup's start on it is known what was replayed: a server asks for its last segment once more when it has ended. */
  #seesAll: boolean;

  /** @param from the first byte of a segment; or what has followed the records up to there */
  constructor(plan: RecoveryPlan, details: PostgresDetails, from: Lsn | RecordScanner) {
    const segmentBytes = details.walSegmentBytes;
    this.#scanner =
      typeof from === "bigint" ? new RecordScanner({ start: from, segmentBytes }) : from;
    this.#plan = plan;
    this.#details = details;
    this.#isPast = pastTarget(plan);
    this.#goal = goalOf(plan);
    this.#seesAll = typeof from === "bigint" && from <= lsnOf(details.startLsn);
    this.#consistent = lsnOf(details.stopLsn);
  }

  /** Another that goes on from here, while this one stays where it is. */
  fork(): RecoveryWatch {
    const other = new RecoveryWatch(this.#plan, this.#details, this.#scanner.fork());
    other.isOver = this.isOver;
    other.#seesAll = this.#seesAll;
    return other;
  }

  /**
   * Takes the next bytes. Where the chain of records breaks a server sees the end of the archive and opens: before the target it never
   * may.
   * @throws LifeboatError `WAL_BROKEN`; what {@link assertPlaceUnused} refuses
   */
  async push(chunk: Uint8Array): Promise<void> {
    const major = Math.trunc(this.#details.serverVersion / 10_000);
    for (const mark of this.#scanner.push(chunk))
      if (this.#replays(mark) && mark.kind === "tablespace")
        await assertPlaceUnused(mark.location, major);
    const { broken, lastRecord } = this.#scanner;
    if (this.#seesAll && broken && !this.#isEnough(broken.at, lastRecord))
      throw walBroken(broken, lastRecord);
  }

  #isEnough(brokenAt: Lsn, lastRecord: Lsn | undefined): boolean {
    if (brokenAt < this.#consistent) return false;
    if (this.isOver) return true;
    return this.#goal !== undefined && lastRecord !== undefined && lastRecord >= this.#goal;
  }

  #replays(mark: WalMark): boolean {
    this.isOver ||= this.#isPast(mark);
    return !this.isOver || mark.lsn < this.#consistent;
  }

  /** All WAL before a position was pushed. */
  reaches(lsn: Lsn): void {
    this.isOver ||= this.#isPast({ lsn });
  }
}

/** By its place, where the plan knows it; of an instant a later transaction has to come. */
function goalOf({ target, willRecoverTo }: RecoveryPlan): Lsn | undefined {
  if (target.kind === "time") return undefined;
  if (target.kind === "backup" || target.kind === "immediate") return 0n;
  const lsn = target.kind === "lsn" ? target.lsn : willRecoverTo.lsn;
  return lsn === null ? 0n : lsnOf(lsn);
}

function walBroken(
  { at, why }: NonNullable<RecordScanner["broken"]>,
  lastRecord: Lsn | undefined,
): LifeboatError {
  const before = lastRecord === undefined ? "" : ` (--lsn ${formatLsn(lastRecord)})`;
  return new LifeboatError({
    code: "WAL_BROKEN",
    message: `the archived WAL does not hold together: ${why} at ${formatLsn(at)}; a server takes that for the end, and opens without all that lies behind it`,
    remedy: `recover to before it${before}, or from a backup behind it (lifeboat list); lifeboat verify --deep names the segment`,
    details: { at: formatLsn(at), reason: why },
  });
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
