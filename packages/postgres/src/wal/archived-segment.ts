import { type DatabaseFolder, LifeboatError } from "@lifeboat/core";
import type { WalMark } from "./mark.ts";
import { RecordScanner } from "./record-scanner.ts";
import {
  assertOwnSegment,
  assertSegmentSize,
  IDENTITY_BYTES,
  segmentIdentity,
} from "./segment-identity.ts";
import {
  logName,
  parseWalFileName,
  segmentName,
  segmentStart,
  type WalFile,
} from "./segment-name.ts";
import { newestPart } from "./segment-part.ts";

/** A segment of the repository, by number. */
export interface SegmentRef {
  readonly timeline: number;
  readonly number: bigint;
}

/**
 * Reads one WAL segment of a repository and checks all that can be known of it: its seal, its size,
 * its cluster, its place.
 * @throws LifeboatError `OBJECT_MISSING`, `CHECKSUM_MISMATCH`, `WAL_INVALID`, `WAL_FOREIGN`, naming the object
 */
export async function* readSegment(
  folder: DatabaseFolder,
  ref: SegmentRef,
  segmentBytes: number,
): AsyncGenerator<Uint8Array> {
  const name = segmentName(ref.timeline, ref.number, segmentBytes);
  yield* checkedSegment(folder, name);
}

/**
 * The same by file name, partial segments included. Of a segment that is still being written it is
 * what a receiver has shipped, filled up with zeros: there a server finds the end of the WAL.
 */
export async function* checkedSegment(
  folder: DatabaseFolder,
  name: string,
): AsyncGenerator<Uint8Array> {
  const path = folder.logPath(logName(name));
  const file = parseWalFileName(name) as Extract<WalFile, { high: number }>;
  try {
    const whole = identified(folder.readLog(logName(name)), { folder, file, path, part: false });
    const first = await whole.next().catch(absent);
    if (first === undefined) return yield* growingSegment(folder, name, path);
    if (first.done) return;
    yield first.value;
    yield* whole;
  } catch (thrown) {
    throw asDamage(thrown, path);
  }
}

/** That a whole one is not there is what a part may make up for; all else is thrown on. */
function absent(thrown: unknown): undefined {
  if (thrown instanceof LifeboatError && thrown.code === "OBJECT_MISSING") return undefined;
  throw thrown;
}

async function* growingSegment(
  folder: DatabaseFolder,
  name: string,
  path: string,
): AsyncGenerator<Uint8Array> {
  const file = parseWalFileName(name) as Extract<WalFile, { high: number }>;
  // A receiver at work removes a part as soon as a longer one is there: then that one is read.
  for (let missed = ""; ; ) {
    const part = await newestPart(folder, name);
    if (!part || part.name === missed) break;
    const object = folder.logPath(part.name);
    const content = identified(folder.readLog(part.name), {
      folder,
      file,
      path: object,
      part: true,
    });
    const first = await content.next().catch(absent);
    if (first && !first.done) {
      yield first.value;
      return yield* content;
    }
    missed = part.name;
  }
  // There is none, or it was shipped whole since we looked for that.
  yield* identified(folder.readLog(logName(name)), { folder, file, path, part: false });
}

/** One part by its own name, filled up with zeros. */
export async function* checkedPart(
  folder: DatabaseFolder,
  name: string,
): AsyncGenerator<Uint8Array> {
  const path = folder.logPath(logName(name));
  const file = parseWalFileName(name.slice(0, 24)) as Extract<WalFile, { high: number }>;
  try {
    yield* identified(folder.readLog(logName(name)), { folder, file, path, part: true });
  } catch (thrown) {
    throw asDamage(thrown, path);
  }
}

interface SegmentObject {
  readonly folder: DatabaseFolder;
  readonly file: Extract<WalFile, { high: number }>;
  /** Names the object in messages. */
  readonly path: string;
  readonly part: boolean;
}

const PADDING = new Uint8Array(1 << 18);

async function* identified(
  content: AsyncIterable<Uint8Array>,
  { folder, file, path, part }: SegmentObject,
): AsyncGenerator<Uint8Array> {
  let start: Buffer | undefined = Buffer.alloc(0);
  let identity: ReturnType<typeof segmentIdentity> | undefined;
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    if (start) start = Buffer.concat([start, chunk]);
    if (start && start.length >= IDENTITY_BYTES) {
      identity = segmentIdentity(start, file, path);
      assertOwnSegment(identity, folder.database, path);
      start = undefined;
    }
    // At once, and not where it ends: what goes on and on is written to a disk meanwhile.
    if (identity && bytes > identity.segmentBytes) assertSegmentSize(bytes, identity, path);
    yield chunk;
  }
  identity ??= segmentIdentity(start ?? Buffer.alloc(0), file, path);
  while (part && bytes < identity.segmentBytes) {
    const padding = PADDING.subarray(0, identity.segmentBytes - bytes);
    bytes += padding.length;
    yield padding;
  }
  assertSegmentSize(bytes, identity, path);
}

/** Whoever archives a strange file is refused; in the repository it is damage. */
function asDamage(thrown: unknown, path: string): unknown {
  if (!(thrown instanceof LifeboatError) || thrown.kind !== "refused") return thrown;
  return new LifeboatError({
    code: thrown.code,
    message: thrown.message,
    remedy:
      "bring this object back from a copy of the repository, or recover to before it (lifeboat list); lifeboat verify finds all that is damaged",
    details: { ...thrown.details, object: path },
    cause: thrown,
  });
}

/** What the records of a run of segments say. */
export interface WalScan {
  readonly marks: readonly WalMark[];
  /** Where the last whole record begins; undefined when no record begins in the run. */
  readonly lastRecord: bigint | undefined;
  /** Where it ends. */
  readonly lastEnd: bigint | undefined;
  /** Where and why the chain of records ended before the run did; undefined when it did not. */
  readonly broken: RecordScanner["broken"];
}

/** Follows the records through neighbouring segments, the first of which must begin at a boundary. */
export async function scanSegments(
  folder: DatabaseFolder,
  refs: readonly [SegmentRef, ...SegmentRef[]],
  segmentBytes: number,
): Promise<WalScan> {
  const start = segmentStart(refs[0].number, segmentBytes);
  const scanner = new RecordScanner({ start, segmentBytes });
  const marks: WalMark[] = [];
  for (const ref of refs)
    for await (const chunk of readSegment(folder, ref, segmentBytes))
      marks.push(...scanner.push(chunk));
  const { lastRecord, lastEnd, broken } = scanner;
  return { marks, lastRecord, lastEnd, broken };
}
