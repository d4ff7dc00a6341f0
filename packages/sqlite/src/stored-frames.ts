import { wrongLogObject } from "./log-note.ts";

const HEADER_BYTES = 32;
/** Of one frame, before its page. */
export const FRAME_HEADER_BYTES = 24;
/** Frames are handed on in runs of about this size. */
const RUN_BYTES = 1 << 20;

/** A run of whole frames of a stored WAL, one after the other. */
export interface FrameRun {
  readonly bytes: Buffer;
  /** Of one frame with its page. */
  readonly frameBytes: number;
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
  const gathered = new Gathered();
  let salts: Buffer | undefined;
  let committed = true;
  for await (const chunk of content) {
    gathered.push(chunk);
    if (!salts) {
      if (gathered.bytes < HEADER_BYTES) continue;
      salts = saltsOf(gathered.take(HEADER_BYTES), pageSize, object);
    }
    if (gathered.bytes < Math.max(RUN_BYTES, frameBytes)) continue;
    const run = {
      bytes: gathered.take(gathered.bytes - (gathered.bytes % frameBytes)),
      frameBytes,
    };
    committed = assertFrames(run, salts, object);
    yield run;
  }
  if (!salts) throw wrongLogObject(object, "is shorter than a WAL's header");
  if (gathered.bytes % frameBytes !== 0) throw wrongLogObject(object, "ends within a frame");
  if (gathered.bytes > 0) {
    const run = { bytes: gathered.take(gathered.bytes), frameBytes };
    committed = assertFrames(run, salts, object);
    yield run;
  }
  if (!committed) throw wrongLogObject(object, "ends within a transaction");
}

function saltsOf(header: Buffer, pageSize: number, object: string): Buffer {
  if ((header.readUInt32BE(0) & ~1) >>> 0 !== 0x377f0682) throw wrongLogObject(object, "is no WAL");
  const found = header.readUInt32BE(8);
  if (found !== pageSize)
    throw wrongLogObject(object, `is for pages of ${found} bytes, the database has ${pageSize}`);
  return header.subarray(16, 24);
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

/** Bytes that came in chunks, to be taken in other lengths. */
class Gathered {
  #chunks: Uint8Array[] = [];
  bytes = 0;

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  take(length: number): Buffer {
    const [only] = this.#chunks;
    const all =
      this.#chunks.length === 1 && only
        ? Buffer.from(only.buffer, only.byteOffset, only.length)
        : Buffer.concat(this.#chunks);
    this.#chunks = length < all.length ? [all.subarray(length)] : [];
    this.bytes -= length;
    return all.subarray(0, length);
  }
}
