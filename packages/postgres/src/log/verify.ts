import {
  type DatabaseFolder,
  LifeboatError,
  type LogCheck,
  type Manifest,
  type Problem,
} from "@lifeboat/core";
import { checkedPart, checkedSegment, type SegmentRef } from "../wal/archived-segment.ts";
import { readLogArchive, TimelinePath } from "../wal/log-archive.ts";
import { formatLsn } from "../wal/lsn.ts";
import { readSmallLog } from "../wal/read-small-log.ts";
import { RecordScanner } from "../wal/record-scanner.ts";
import { historyName, logName, parseWalFileName, segmentName } from "../wal/segment-name.ts";
import { listParts, parsePartName } from "../wal/segment-part.ts";
import { parseTimelineHistory } from "../wal/timeline-history.ts";
import { type Base, baseOf, timelinesOf } from "./chains.ts";
import { type MissingSegment, MOST_MISSING, missingSegments } from "./missing-segments.ts";

interface Check {
  readonly folder: DatabaseFolder;
  readonly deep: boolean;
  readonly problems: Problem[];
  /** What has followed the records up to the end of the segment that was read last, by its timeline. */
  followed: { readonly timeline: number; readonly scanner: RecordScanner } | undefined;
}

/**
 * Reads every object of the log and names what is damaged, foreign or missing. Segments that no
 * backup needs are no fault. With `deep` the records are followed as well, from each segment into the next.
 */
export async function verifyWal(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  { deep, signal }: { readonly deep: boolean; readonly signal: AbortSignal },
): Promise<LogCheck> {
  const check: Check = { folder, deep, problems: [], followed: undefined };
  let objects = 0;
  let bytes = 0;
  for await (const { name, stored } of folder.listLog()) {
    signal.throwIfAborted();
    objects++;
    bytes += stored.bytes;
    await verifyObject(check, name);
  }
  await verifyNoGaps(check, backups);
  return { objects, bytes, problems: check.problems };
}

async function verifyObject(check: Check, name: string): Promise<void> {
  const object = check.folder.logPath(name);
  try {
    await readObject(check, name, object);
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    check.problems.push({ object, code: thrown.code, message: thrown.message });
  }
}

async function readObject(check: Check, name: string, object: string): Promise<void> {
  const { folder, deep } = check;
  const base = name.slice(name.indexOf("/") + 1);
  if (parsePartName(base)) return verifyPart(folder, base);
  const file = parseWalFileName(base);
  if (!file || name !== logName(base)) throw strange(object);
  if (file.kind === "segment" && deep) return followSegment(check, { base, object, ...file });
  if (file.kind === "segment" || file.kind === "partial")
    return readWhole(checkedSegment(folder, base));
  const content = Buffer.concat(await Array.fromAsync(readSmallLog(folder, base)));
  if (file.kind === "history") parseTimelineHistory(content.toString(), file.timeline, object);
}

/** A receiver may replace it while we read: then a longer one, or the whole segment, is there instead. */
async function verifyPart(folder: DatabaseFolder, name: string): Promise<void> {
  try {
    await readWhole(checkedPart(folder, name));
  } catch (thrown) {
    const segment = name.slice(0, 24);
    const isGone = thrown instanceof LifeboatError && thrown.code === "OBJECT_MISSING";
    const isReplaced =
      (await listParts(folder, segment)).some((part) => part.name !== logName(name)) ||
      (await folder.statLog(logName(segment))) !== undefined;
    if (!isGone || !isReplaced) throw thrown;
  }
}

/** Reads a segment to its end, which checks it. */
async function readWhole(content: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of content);
}

/** Its records have to go on where those of the segment before ended. */
async function followSegment(
  check: Check,
  { base, object, timeline }: { base: string; object: string; timeline: number },
): Promise<void> {
  const before = check.followed?.timeline === timeline ? check.followed.scanner : undefined;
  check.followed = undefined;
  let scanner: RecordScanner | undefined;
  for await (const chunk of checkedSegment(check.folder, base)) {
    scanner ??= scannerFor(chunk, before);
    scanner.push(chunk);
  }
  if (!scanner?.broken) {
    check.followed = scanner && { timeline, scanner };
    return;
  }
  throw new LifeboatError({
    code: "WAL_INVALID",
    message: `${object}: ${scanner.broken.why} at ${formatLsn(scanner.broken.at)}`,
    remedy: "take a new backup: nothing can be recovered past this place",
    details: { object },
  });
}

/** Where the segment begins and how large it is stands in its first page, which has been checked. */
function scannerFor(chunk: Uint8Array, before: RecordScanner | undefined): RecordScanner {
  const page = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const start = page.readBigUInt64LE(8);
  if (before?.position === start) return before;
  return new RecordScanner({ start, segmentBytes: page.readUInt32LE(32) });
}

/** From each backup on, along each timeline it reaches, up to the last segment there is. */
async function verifyNoGaps(check: Check, backups: readonly Manifest[]): Promise<void> {
  const bases = backups.flatMap((manifest) => readableBase(check, manifest) ?? []);
  const segmentBytes = bases.at(-1)?.details.walSegmentBytes;
  if (segmentBytes === undefined) return;
  const archive = await readLogArchive(check.folder, segmentBytes);
  const missing = new Map<string, MissingSegment | undefined>();
  for (const timeline of timelinesOf(archive, bases)) {
    const path = new TimelinePath(archive, timeline);
    for (const base of bases)
      if (path.passes(base.details.timeline, base.stop))
        for (const hole of missingSegments(archive, path, { base, bases })) {
          const name = segmentName(hole.timeline, hole.number, segmentBytes);
          // Where one backup's list ends, another's may go on.
          if (!hole.endsList || !missing.has(name)) missing.set(name, hole);
        }
    if (timeline > 1 && !archive.histories.has(timeline))
      missing.set(historyName(timeline), undefined);
  }
  let before: SegmentRef | undefined;
  for (const [name, hole] of missing) {
    const object = check.folder.logPath(logName(name));
    check.problems.push({
      object,
      code: "WAL_GAP",
      message: gapMessage(object, hole),
      ...(!hole?.endsList && isNext(hole, before) && { continues: true }),
    });
    before = hole;
  }
}

/** A backup that streams its own WAL is ahead of an archiver that lags: what lies between is on the server yet, which is not asked here. */
function gapMessage(object: string, hole: MissingSegment | undefined): string {
  if (hole?.endsList)
    return `${object} is missing, and so are ${MOST_MISSING} before it: what more is missing behind it was not looked for`;
  const message = `${object} is missing: no recovery gets past it`;
  if (!hole || hole.ofBackup) return message;
  return `${message}, unless the server still has it to bring (lifeboat status asks it)`;
}

function isNext(ref: SegmentRef | undefined, before: SegmentRef | undefined): boolean {
  if (!ref || !before) return false;
  return ref.timeline === before.timeline && ref.number === before.number + 1n;
}

function readableBase({ folder, problems }: Check, manifest: Manifest): Base | undefined {
  try {
    return baseOf(manifest);
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    const object = `${folder.backupPath(manifest.id)}/manifest.json`;
    problems.push({ object, code: thrown.code, message: thrown.message });
    return undefined;
  }
}

function strange(object: string): LifeboatError {
  return new LifeboatError({
    code: "WAL_NAME_INVALID",
    message: `${object} has no name that a server gives to a WAL file`,
    remedy: "find out who put it there; it is of no use to any recovery",
    details: { object },
  });
}
