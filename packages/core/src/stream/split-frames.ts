import { release } from "./release.ts";

/** A whole zstd frame, and how much it says to hold. */
export interface SplitFrame {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly contentBytes: number;
}

/** What is not cut into frames: from here on it can only be read as one stream. */
export interface Remainder {
  readonly remainder: AsyncIterable<Uint8Array>;
  /** Ends the source. */
  close(): Promise<void>;
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
/** Enough for every frame header (RFC 8878, 3.1.1.1). */
const LONGEST_HEADER = 18;
/** Larger frames, or such as do not say how large they are, are others' and are not held in memory. */
const LARGEST_CONTENT = 4 << 20;
/** What a frame has beside its content, where blocks do not shrink: far above three bytes a block. */
const MOST_AROUND = 64 << 10;

/**
 * Cuts a `.zst` stream into its frames without unpacking them, skippable ones left out. What it finds
 * to be unlike our own frames comes as one last remainder. Throws where the stream is no zstd or is cut.
 *
 * A stream may be hostile: never more of it is held than one of our frames can have. Of skippable frames
 * nothing is held, and one whose blocks go on past what its content explains is read as a stream.
 */
export async function* splitFrames(
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<SplitFrame | Remainder> {
  const chunks = content[Symbol.asyncIterator]();
  const close = async () => {
    await chunks.return?.();
  };
  let handedOn = false;
  const buffer = new FrameBuffer();
  try {
    for (;;) {
      const found = buffer.next();
      if (found === "foreign") {
        handedOn = true;
        yield { remainder: following(buffer, chunks), close };
        return;
      }
      if (found === "more") {
        const { value, done } = await chunks.next();
        if (!done) buffer.push(value);
        else if (buffer.isBetweenFrames) return;
        else throw new Error("the stream ends within a frame");
      } else if (found !== "skipped") yield found;
    }
  } finally {
    // What is handed on begins with what lies in it.
    if (!handedOn) {
      buffer.release();
      await close();
    }
  }
}

async function* following(
  buffer: FrameBuffer,
  chunks: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield buffer.take(buffer.bytes);
  for (;;) {
    const { value, done } = await chunks.next();
    if (done) return;
    yield value;
  }
}

/** Enough for a frame of ours and a half, as they mostly are. */
const FIRST_MEMORY = 1 << 20;

/** What came and is not yet a whole frame, in one piece of memory that is used again and again. */
class FrameBuffer {
  #memory: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(FIRST_MEMORY);
  #start = 0;
  bytes = 0;
  /** So many bytes are needed to find out more. */
  #needed = 8;
  /** So many bytes of a skippable frame are still to come. */
  #skipping = 0;

  get isBetweenFrames(): boolean {
    return this.bytes === 0 && this.#skipping === 0;
  }

  push(chunk: Uint8Array): void {
    const skipped = Math.min(this.#skipping, chunk.length);
    this.#skipping -= skipped;
    if (skipped === chunk.length) return;
    const rest = skipped === 0 ? chunk : chunk.subarray(skipped);
    if (this.#start + this.bytes + rest.length > this.#memory.length) this.#makeRoom(rest.length);
    this.#memory.set(rest, this.#start + this.bytes);
    this.bytes += rest.length;
  }

  next(): SplitFrame | "more" | "skipped" | "foreign" {
    if (this.bytes < this.#needed) return "more";
    const head = this.#memory.subarray(this.#start, this.#start + this.bytes);
    const magic = head.readUInt32LE(0);
    if ((magic & ~0xf) >>> 0 === SKIPPABLE) return this.#skip(8 + head.readUInt32LE(4));
    if (magic !== MAGIC) throw new Error("a frame does not start with zstd's magic number");
    const header = headerOf(head);
    if (header === undefined) return this.#wait(LONGEST_HEADER);
    const { contentBytes } = header;
    if (contentBytes === undefined || contentBytes > LARGEST_CONTENT) return "foreign";
    const end = endOfBlocks(head, header);
    if (end.needed !== undefined)
      return end.needed > contentBytes + MOST_AROUND ? "foreign" : this.#wait(end.needed);
    return { bytes: this.take(end.length), contentBytes };
  }

  /** In memory of its own, so that it may be handed to another thread. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(this.#memory.subarray(this.#start, this.#start + length));
    this.#drop(length);
    return taken;
  }

  /** Gives its memory back: a merge reads one object after the other, each through a buffer of its own. */
  release(): void {
    release(this.#memory);
  }

  #wait(needed: number): "more" {
    this.#needed = needed;
    return "more";
  }

  #skip(length: number): "skipped" {
    this.#skipping = Math.max(0, length - this.bytes);
    this.#drop(Math.min(length, this.bytes));
    return "skipped";
  }

  #drop(length: number): void {
    this.#start += length;
    this.bytes -= length;
    this.#needed = 8;
  }

  /** What is left moves to the front, into larger memory where this is too small. */
  #makeRoom(more: number): void {
    const left = this.#memory.subarray(this.#start, this.#start + this.bytes);
    const needed = this.bytes + more;
    const before = this.#memory;
    if (needed > before.length) this.#memory = Buffer.allocUnsafeSlow(needed * 2);
    this.#memory.set(left, 0);
    if (this.#memory !== before) release(before);
    this.#start = 0;
  }
}

interface FrameHeader {
  readonly length: number;
  readonly contentBytes: number | undefined;
  readonly checksum: boolean;
}

/** Undefined when it is not all there (RFC 8878, 3.1.1.1). */
function headerOf(head: Buffer): FrameHeader | undefined {
  const descriptor = head[4] ?? 0;
  const single = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  const sizeAt = 5 + (single ? 0 : 1) + dictionaryBytes;
  const length = sizeAt + sizeBytes;
  if (head.length < length) return undefined;
  return {
    length,
    contentBytes: sizeAtOf(head, sizeAt, sizeBytes),
    checksum: (descriptor & 4) !== 0,
  };
}

function sizeAtOf(head: Buffer, at: number, bytes: number): number | undefined {
  if (bytes === 0) return undefined;
  if (bytes === 1) return head.readUInt8(at);
  if (bytes === 2) return head.readUInt16LE(at) + 256;
  return bytes === 4 ? head.readUInt32LE(at) : Number(head.readBigUInt64LE(at));
}

/** Where the last block ends (RFC 8878, 3.1.1.2); or how many bytes are needed to know. */
function endOfBlocks(
  head: Buffer,
  { length, checksum }: FrameHeader,
): { length: number; needed?: undefined } | { needed: number } {
  let at = length;
  for (;;) {
    if (head.length < at + 3) return { needed: at + 3 };
    const block = head.readUIntLE(at, 3);
    const runLength = ((block >> 1) & 3) === 1;
    at += 3 + (runLength ? 1 : block >> 3);
    if ((block & 1) === 0) continue;
    const end = at + (checksum ? 4 : 0);
    return head.length < end ? { needed: end } : { length: end };
  }
}
