import { randomBytes } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { expect, test, vi } from "vitest";
import { compress } from "../src/stream/compress.ts";
import { CompressorPool } from "../src/stream/compressor-pool.ts";

const MIB = 1 << 20;

/** Noise, zeros and text in turn, so that frames are of all sizes and end within and across pieces of memory. */
function content(bytes: number): Buffer {
  const all = Buffer.alloc(bytes, "lifeboat ");
  for (let at = 0, turn = 0; at < bytes; at += 700_000, turn++) {
    if (turn % 3 === 0) randomBytes(Math.min(700_000, bytes - at)).copy(all, at);
    if (turn % 3 === 1) all.fill(0, at, Math.min(at + 700_000, bytes));
  }
  return all;
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  // One piece of memory for all: whoever gives bytes may use it again for the next ones.
  const piece = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size)
    yield piece.subarray(0, bytes.copy(piece, 0, at, at + size));
}

async function packed(bytes: Buffer, level = 3, size = 300_001): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(compress(inPieces(bytes, size), level)));
}

/** The content size and the checksum flag of each frame (RFC 8878, section 3.1.1). */
function framesOf(stream: Buffer): { bytes: number; checksum: boolean }[] {
  const frames: { bytes: number; checksum: boolean }[] = [];
  for (let at = 0; at < stream.length; ) {
    expect(stream.readUInt32LE(at)).toBe(0xfd2fb528);
    const descriptor = stream[at + 4] ?? 0;
    const singleSegment = (descriptor & 0x20) !== 0;
    const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
    at += 5 + (singleSegment ? 0 : 1);
    const base = sizeBytes === 2 ? 256 : 0;
    const bytes = sizeBytes === 0 ? -1 : base + stream.readUIntLE(at, Math.min(sizeBytes, 6));
    at += sizeBytes;
    for (let last = false; !last; ) {
      const header = stream.readUIntLE(at, 3);
      last = (header & 1) === 1;
      at += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
    }
    const checksum = (descriptor & 4) !== 0;
    at += checksum ? 4 : 0;
    frames.push({ bytes, checksum });
  }
  return frames;
}

test("a stream becomes frames of one MiB each, in order, each with its size and its checksum", async () => {
  const bytes = content(23 * MIB + 12_345);
  const stream = await packed(bytes);
  expect(zstdDecompressSync(stream).equals(bytes)).toBe(true);
  const frames = framesOf(stream);
  expect(frames).toHaveLength(24);
  expect(frames.map((frame) => frame.bytes)).toEqual([...Array(23).fill(MIB), 12_345]);
  expect(frames.every(({ checksum }) => checksum)).toBe(true);
});

test.each([0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1])(
  "%i bytes come back as they were",
  async (size) => {
    const bytes = content(size);
    const stream = await packed(bytes);
    expect(zstdDecompressSync(stream).equals(bytes)).toBe(true);
    expect(framesOf(stream)).toHaveLength(Math.max(1, Math.ceil(size / MIB)));
  },
);

test("streams that are compressed at once, at several levels, don't get into each other", async () => {
  const sources = [1, 3, 3, 7].map((level, n) => ({ level, bytes: content((5 + n) * MIB + n) }));
  const streams = await Promise.all(sources.map(({ level, bytes }) => packed(bytes, level)));
  for (const [n, { bytes }] of sources.entries())
    expect(zstdDecompressSync(streams[n] as Buffer).equals(bytes)).toBe(true);
});

test("a source that fails half-way fails the stream, and the next one is not harmed", async () => {
  const failing = async function* () {
    yield content(6 * MIB);
    throw new Error("the source broke");
  };
  await expect(Array.fromAsync(compress(failing(), 3))).rejects.toThrow("the source broke");
  const bytes = content(6 * MIB);
  expect(zstdDecompressSync(await packed(bytes)).equals(bytes)).toBe(true);
});

test("a reader that stops early closes the source, and the next stream is not harmed", async () => {
  let closed = false;
  const source = async function* () {
    try {
      for (;;) yield content(MIB);
    } finally {
      closed = true;
    }
  };
  for await (const _ of compress(source(), 3)) break;
  expect(closed).toBe(true);
  const bytes = content(6 * MIB);
  expect(zstdDecompressSync(await packed(bytes)).equals(bytes)).toBe(true);
});

test("one block at a time makes the same frames", async () => {
  const bytes = content(7 * MIB + 5);
  const pieces = await Array.fromAsync(compress(inPieces(bytes, 300_001), 3, { atOnce: 1 }));
  const stream = Buffer.concat(pieces);
  expect(zstdDecompressSync(stream).equals(bytes)).toBe(true);
  expect(framesOf(stream)).toEqual(framesOf(await packed(bytes)));
});

test("what a pool has not needed for a while is given back, and it goes on all the same", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    const pool = new CompressorPool({ size: 3, level: 3, blockBytes: MIB });
    const bytes = content(MIB);
    const compressAll = async () => {
      const frames = await Promise.all(
        Array.from({ length: 6 }, () => pool.compress(new Uint8Array(bytes))),
      );
      for (const frame of frames)
        expect(zstdDecompressSync(Buffer.concat(frame)).equals(bytes)).toBe(true);
    };
    await compressAll();
    expect(pool.compressors).toBe(3);
    vi.advanceTimersByTime(5_000);
    expect(pool.compressors).toBe(3);
    vi.advanceTimersByTime(5_000);
    expect(pool.compressors).toBe(0);
    expect(pool.spare()).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
    await compressAll();
  } finally {
    vi.useRealTimers();
  }
});
