import { setTimeout as delay } from "node:timers/promises";
import { type DatabaseFolder, LifeboatError, type Report, reasonOf } from "@lifeboat/core";
import pg from "pg";
import { withBriefSender } from "../connection/brief-sender.ts";
import type { ServerConnection } from "../connection/connection.ts";
import { readArchiver } from "../facts/archiver.ts";
import { readSegment } from "../wal/archived-segment.ts";
import { formatLsn, type Lsn } from "../wal/lsn.ts";
import type { WalMark } from "../wal/mark.ts";
import { walParted } from "../wal/parted.ts";
import { RecordScanner } from "../wal/record-scanner.ts";
import {
  historyName,
  logName,
  segmentAt,
  segmentBefore,
  segmentName,
  segmentStart,
} from "../wal/segment-name.ts";
import { storeHistory } from "../wal/timeline-file.ts";

/** The WAL without which a base backup is worth nothing. */
export interface NeededWal {
  readonly timeline: number;
  readonly start: Lsn;
  readonly stop: Lsn;
  readonly segmentBytes: number;
  /** A primary writes into its WAL that a backup has ended; a standby writes none. */
  readonly endIsWritten: boolean;
}

export function firstSegment(needed: NeededWal): bigint {
  return segmentAt(needed.start, needed.segmentBytes);
}

export function lastSegment(needed: NeededWal): bigint {
  return segmentBefore(needed.stop, needed.segmentBytes);
}

const POLL_MS = 200;
/** The archiver tries three times in three seconds, then only each minute: one such pause is borne. */
const PATIENCE_MS = 100_000;

const UNDEFINED_FILE = "58P01";
/** The timeline that a primary writes: a checkpoint may still tell the one before. */
const TIMELINE_QUERY = "select left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline";

/** Without a WAL sender the history that is there cannot be compared; a backup that needs none goes on. */
const NO_SENDER = new Set(["SENDERS_EXHAUSTED", "REPLICATION_DENIED", "HBA_ENTRY_MISSING"]);

/**
 * Stores the history of the timeline that the primary is on, where the repository has it not: the archiver hands it over only
 * where archiving was on when the server came to that timeline, and no recovery begins on one whose history it cannot have.
 * @throws LifeboatError `LOG_OBJECT_DIFFERS` where it has that of another timeline of this number
 */
export async function assureHistory(
  connection: ServerConnection,
  client: pg.Client,
  folder: DatabaseFolder,
): Promise<void> {
  const { rows } = await client.query<{ timeline: string }>(TIMELINE_QUERY);
  const timeline = Number.parseInt(rows[0]?.timeline ?? "", 16);
  if (timeline === 1) return;
  const isThere = (await folder.statLog(logName(historyName(timeline)))) !== undefined;
  try {
    await withBriefSender(connection, client, (sender) => storeHistory(sender, folder, timeline));
  } catch (thrown) {
    if (isThere && thrown instanceof LifeboatError && NO_SENDER.has(thrown.code)) return;
    // One whose WAL was begun anew by pg_resetwal may have none itself.
    if (!(thrown instanceof pg.DatabaseError) || thrown.code !== UNDEFINED_FILE) throw thrown;
  }
}

export interface ArchiveWait {
  readonly folder: DatabaseFolder;
  readonly client: pg.Client;
  readonly needed: NeededWal;
  readonly report: Report;
  readonly signal: AbortSignal;
  /** How long to wait without any segment coming. */
  readonly patienceMs?: number;
}

/**
 * Waits until the server's archiver has put every segment of the backup into the repository. The
 * server has switched segments at the backup's end, so the last one is on its way.
 * @throws LifeboatError `WAL_NOT_ARCHIVED` naming the segment that does not come, and what the archiver says
 */
export async function awaitArchive(wait: ArchiveWait): Promise<void> {
  const { folder, needed, signal, report } = wait;
  let patience = Date.now() + (wait.patienceMs ?? PATIENCE_MS);
  for (let number = firstSegment(needed); number <= lastSegment(needed); ) {
    const name = segmentName(needed.timeline, number, needed.segmentBytes);
    if (await folder.statLog(logName(name))) {
      number++;
      patience = Date.now() + (wait.patienceMs ?? PATIENCE_MS);
      continue;
    }
    if (Date.now() > patience) throw await notArchived(wait, name);
    report({ note: `waiting for WAL segment ${name} to be archived` });
    await delay(POLL_MS, undefined, { signal });
  }
}

async function notArchived({ client, folder }: ArchiveWait, name: string): Promise<LifeboatError> {
  const archiver = await readArchiver(client);
  const failure =
    archiver.failing && archiver.lastFailedWal
      ? `archive_command failed ${archiver.failedCount} times, last with ${archiver.lastFailedWal}`
      : `its last success was ${archiver.lastArchivedWal ?? "never"}`;
  return new LifeboatError({
    code: "WAL_NOT_ARCHIVED",
    message: `WAL segment ${name}, which the backup needs, does not come into ${folder.path}/wal: ${failure}`,
    remedy:
      "see the server's log for what archive_command said, mend it, and run the backup again; --wal stream needs no archive_command",
    details: { segment: name, archiver },
  });
}

/**
 * Reads back every segment that the backup needs and follows the records from start to stop: proof
 * that nothing is damaged, foreign or missing between them. And that they are this server's: one that was put back to an older state
 * goes on under the names of segments that are stored already, of the time that it knows no more.
 * @returns the time of the last commit or abort before the stop, in microseconds since 1970;
 *   undefined when there is none
 * @throws LifeboatError `WAL_GAP`, `WAL_PARTED`, or what reading a segment threw
 */
export async function proveWal(
  folder: DatabaseFolder,
  needed: NeededWal,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { timeline, segmentBytes } = needed;
  const start = segmentStart(firstSegment(needed), segmentBytes);
  const scanner = new RecordScanner({ start, segmentBytes });
  const own = new OwnWal(needed);
  let last: number | undefined;
  for (let number = firstSegment(needed); number <= lastSegment(needed); number++) {
    signal.throwIfAborted();
    for await (const chunk of segmentOf(folder, { timeline, number }, segmentBytes))
      for (const mark of scanner.push(chunk)) {
        own.see(mark);
        if ((mark.kind === "commit" || mark.kind === "abort") && mark.lsn < needed.stop)
          last = Math.max(last ?? 0, mark.micros);
      }
  }
  const { broken } = scanner;
  if (broken && broken.at < needed.stop) throw gap(folder, broken);
  own.assertSeen(folder);
  return last;
}

/** What this backup has written, and no other time's WAL holds: the checkpoint that it begins with, and its end. */
class OwnWal {
  readonly #needed: NeededWal;
  #begins = false;
  #ends: boolean;

  constructor(needed: NeededWal) {
    this.#needed = needed;
    this.#ends = !needed.endIsWritten;
  }

  see(mark: WalMark): void {
    const { start, stop } = this.#needed;
    if (mark.lsn >= stop) return;
    if (mark.kind === "checkpoint") this.#begins ||= mark.redo === start;
    if (mark.kind === "backup-end") this.#ends ||= mark.start === start;
  }

  assertSeen(folder: DatabaseFolder): void {
    if (this.#begins && this.#ends) return;
    const { start, stop } = this.#needed;
    const span = `from ${formatLsn(start)} to ${formatLsn(stop)}`;
    throw walParted(
      `the WAL ${span} that ${folder.path}/wal holds is not the one that this backup wrote`,
    );
  }
}

async function* segmentOf(
  folder: DatabaseFolder,
  ref: { timeline: number; number: bigint },
  segmentBytes: number,
): AsyncGenerator<Uint8Array> {
  try {
    yield* readSegment(folder, ref, segmentBytes);
  } catch (cause) {
    if (!(cause instanceof LifeboatError) || cause.code !== "OBJECT_MISSING") throw cause;
    const name = segmentName(ref.timeline, ref.number, segmentBytes);
    throw new LifeboatError({
      code: "WAL_GAP",
      message: `WAL segment ${name}, which the backup needs, is not in ${folder.path}/wal`,
      remedy: "take a new backup",
      details: { segment: name },
      cause,
    });
  }
}

function gap(folder: DatabaseFolder, broken: { at: Lsn; why: string }): LifeboatError {
  return new LifeboatError({
    code: "WAL_GAP",
    message: `the WAL of the backup in ${folder.path}/wal does not hold together: ${broken.why} at ${formatLsn(broken.at)}`,
    remedy: "take a new backup; lifeboat verify --deep shows what else is wrong",
    details: { at: formatLsn(broken.at), reason: reasonOf(broken.why) },
  });
}
