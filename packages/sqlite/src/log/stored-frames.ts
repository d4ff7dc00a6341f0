import { wrongLogObject } from "./note.ts";

const HEADER_BYTES = 32;
/** Of one frame, before its page. */
export const FRAME_HEADER_BYTES = 24;

/** A run of whole frames of a stored WAL, one after the other. */
export interface FrameRun {
  readonly bytes: Buffer;
  /** Of one frame with its page. */
  readonly frameBytes: number;
  /** What these frames lie in, to be released by who is done with them. */
  readonly memory: Uint8Array;
}

/** The page number that a frame carries. */
export function pageNumberAt({ bytes }: FrameRun, at: number): number {
  return bytes.readUInt32BE(at);
}

/** The pages that the database has after a frame; 0 when the transaction goes on. */
export function pagesAfter({ bytes }: FrameRun, at: number): number {
  return bytes.readUInt32BE(at + 4);
}

export function pageAt({ bytes, frameBytes }: FrameRun, at: number): Buffer {
  return bytes.subarray(at + FRAME_HEADER_BYTES, at + frameBytes);
}

/**
 * Reads a stored WAL, whose bytes its digest vouches for, frame by frame. Checks that it is what it says: a
 * WAL for pages of this size, of one run of salts, made of whole transactions.
 * @param object to name in errors
 * @throws LifeboatError `LOG_OBJECT_INVALID`
 */
export async function* storedFrames(
  content: AsyncIterable<Uint8Array>,
  { pageSize, object }: { readonly pageSize: number; readonly object: string },
): AsyncGenerator<FrameRun> {
  const frameBytes = FRAME_HEADER_BYTES + pageSize;
  let salts: Buffer | undefined;
  let committed = true;
  // What came of the header, and later of a frame that began in one chunk and ends in another.
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of content) {
    let memory = chunk;
    let bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    if (!salts) {
      if (rest.length > 0) memory = bytes = Buffer.concat([rest, bytes]);
      rest = bytes;
      if (bytes.length < HEADER_BYTES) continue;
      salts = saltsOf(bytes.subarray(0, HEADER_BYTES), pageSize, object);
      bytes = bytes.subarray(HEADER_BYTES);
      rest = bytes.subarray(0, 0);
    }
    const runs = runsOf(rest, bytes, { frameBytes, memory });
    // Before the runs are given: whoever takes them may release this memory.
    rest = restOf(rest, bytes, frameBytes);
    for (const run of runs) {
      committed = assertFrames(run, salts, object);
      yield run;
    }
  }
  if (!salts) throw wrongLogObject(object, "is shorter than a WAL's header");
  if (rest.length > 0) throw wrongLogObject(object, "ends within a frame");
  if (!committed) throw wrongLogObject(object, "ends within a transaction");
}

/** The frames that are whole with these bytes: copied is only the one that began before. */
function runsOf(
  rest: Buffer,
  bytes: Buffer,
  { frameBytes, memory }: Pick<FrameRun, "frameBytes" | "memory">,
): FrameRun[] {
  const missing = rest.length === 0 ? 0 : frameBytes - rest.length;
  if (bytes.length < missing) return [];
  const runs: FrameRun[] = [];
  if (missing > 0) {
    const copy = Buffer.concat([rest, bytes.subarray(0, missing)]);
    runs.push({ bytes: copy, frameBytes, memory: copy });
  }
  const whole = bytes.length - missing - ((bytes.length - missing) % frameBytes);
  if (whole > 0) runs.push({ bytes: bytes.subarray(missing, missing + whole), frameBytes, memory });
  return runs;
}

/** What is left of them. */
function restOf(rest: Buffer, bytes: Buffer, frameBytes: number): Buffer {
  const left = (rest.length + bytes.length) % frameBytes;
  if (left <= bytes.length && rest.length + bytes.length >= frameBytes)
    return Buffer.from(bytes.subarray(bytes.length - left));
  return Buffer.concat([rest, bytes]);
}

function saltsOf(header: Buffer, pageSize: number, object: string): Buffer {
  if ((header.readUInt32BE(0) & ~1) >>> 0 !== 0x377f0682) throw wrongLogObject(object, "is no WAL");
  const found = header.readUInt32BE(8);
  if (found !== pageSize)
    throw wrongLogObject(object, `is for pages of ${found} bytes, the database has ${pageSize}`);
  return Buffer.from(header.subarray(16, 24));
}

/** @returns whether the last frame is a commit */
function assertFrames(run: FrameRun, salts: Buffer, object: string): boolean {
  const { bytes, frameBytes } = run;
  for (let at = 0; at < bytes.length; at += frameBytes) {
    if (pageNumberAt(run, at) === 0) throw wrongLogObject(object, "has a frame for page 0");
    if (bytes.compare(salts, 0, 8, at + 8, at + 16) !== 0)
      throw wrongLogObject(object, "has a frame of another WAL");
  }
  return pagesAfter(run, bytes.length - frameBytes) !== 0;
}
