import { randomBytes } from "node:crypto";
import { createZstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { compress } from "../src/stream/compress.ts";
import { decompress } from "../src/stream/decompress.ts";

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(content));
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function halfNoise(bytes: number): Buffer {
  return Buffer.concat([randomBytes(bytes >> 1), Buffer.alloc(bytes - (bytes >> 1), "lifeboat ")]);
}

/** Skippable, as our seals are (RFC 8878, 3.1.2). */
function skippable(length: number): Buffer {
  const frame = Buffer.alloc(8 + length, 7);
  frame.writeUInt32LE(0x184d2a5c, 0);
  frame.writeUInt32LE(length, 4);
  return frame;
}

test("what was compressed comes back, however the bytes arrive, on one thread and on several", async () => {
  for (const bytes of [0, 1, 300, 1 << 20, (1 << 20) + 1, 40 << 20]) {
    const content = halfNoise(bytes);
    const packed = await all(compress(one(content), 1));
    for (const size of bytes > 1 << 21 ? [65_536, packed.length] : [1, 7, 65_536]) {
      if (packed.length / size > 3e6) continue;
      expect((await all(decompress(inChunks(packed, size)))).equals(content)).toBe(true);
    }
    expect(Buffer.from(zstdDecompressSync(packed)).equals(content)).toBe(true);
  }
});

test("skippable frames are passed over wherever they are", async () => {
  const [a, b] = [halfNoise(5000), halfNoise(70_000)];
  const packed = Buffer.concat([
    skippable(0),
    zstdCompressSync(a),
    skippable(100_000),
    skippable(3),
    zstdCompressSync(b),
    skippable(200),
  ]);
  expect((await all(decompress(inChunks(packed, 999)))).equals(Buffer.concat([a, b]))).toBe(true);
});

test("frames of others, large ones and such as do not say their size, are read as one stream", async () => {
  const large = halfNoise(9 << 20);
  const stream = createZstdCompress();
  stream.end(large);
  const unsized = await all(stream);
  const ours = zstdCompressSync(Buffer.from("ours"));
  for (const foreign of [zstdCompressSync(large), unsized]) {
    const packed = Buffer.concat([ours, foreign, ours]);
    const found = await all(decompress(inChunks(packed, 50_000)));
    expect(found.equals(Buffer.concat([Buffer.from("ours"), large, Buffer.from("ours")]))).toBe(
      true,
    );
  }
});

test("a stream that is cut anywhere, or is no zstd, is an error", async () => {
  const packed = await all(compress(one(halfNoise(2_500_000)), 1));
  const ends = [1, 7, 9, 17, packed.length - 5, packed.length - 1];
  for (let end = 100; end < packed.length; end += 60_013) ends.push(end);
  for (const end of ends)
    await expect(all(decompress(inChunks(packed.subarray(0, end), 65_536)))).rejects.toThrow();
  await expect(all(decompress(one(Buffer.from("no zstd at all"))))).rejects.toThrow(/magic/);
});

test("a frame that unpacks to more than it says is an error, and is not unpacked", async () => {
  const bomb = Buffer.from(zstdCompressSync(Buffer.alloc(4 << 20)));
  const bytes = 4 << 20;
  const at = bomb.indexOf(Buffer.from(Uint32Array.of(bytes).buffer));
  bomb.writeUInt32LE(1000, at);
  await expect(all(decompress(one(bomb)))).rejects.toThrow();
});

test("a flipped bit is found by zstd's own checksum", async () => {
  const packed = await all(compress(one(halfNoise(3 << 20)), 1));
  packed.writeUInt8((packed[700_000] as number) ^ 1, 700_000);
  await expect(all(decompress(one(packed)))).rejects.toThrow();
});

test("a reader that stops early ends the source", async () => {
  const packed = await all(compress(one(halfNoise(3 << 20)), 1));
  let ended = false;
  const source = async function* () {
    try {
      yield* inChunks(packed, 65_536);
    } finally {
      ended = true;
    }
  };
  for await (const _ of decompress(source())) break;
  expect(ended).toBe(true);
});

/** A stream, and the most memory that its buffers took while it was read. */
function watchedMemory(source: AsyncIterable<Uint8Array>) {
  const before = process.memoryUsage().arrayBuffers;
  const memory = { most: 0 };
  const stream = async function* () {
    for await (const chunk of source) {
      memory.most = Math.max(memory.most, process.memoryUsage().arrayBuffers - before);
      yield chunk;
    }
  };
  return { memory, stream: stream() };
}

const CHUNK = 1 << 20;

test("a skippable frame of 4 GiB is passed over without being held, and one that is cut is an error", async () => {
  const ours = zstdCompressSync(Buffer.from("ours"));
  const head = skippable(0);
  const length = 0xffff_fff0;
  head.writeUInt32LE(length, 4);
  const zeros = Buffer.alloc(CHUNK);
  const stream = async function* (bytes: number) {
    yield Buffer.concat([ours, head]);
    for (let left = bytes; left > 0; left -= CHUNK) yield zeros.subarray(0, Math.min(left, CHUNK));
    yield ours;
  };
  const watched = watchedMemory(stream(length));
  expect(String(await all(decompress(watched.stream)))).toBe("oursours");
  expect(watched.memory.most).toBeLessThan(64 << 20);
  await expect(all(decompress(stream(1 << 20)))).rejects.toThrow("ends within a frame");
});

test("a frame of a few bytes whose blocks never end is not gathered", async () => {
  const magic = [0x28, 0xb5, 0x2f, 0xfd];
  // One segment, its content's size in one byte: 100. Then empty raw blocks, none of which is the last.
  const head = Buffer.from([...magic, 0x20, 100]);
  const blocks = Buffer.alloc(3 * (CHUNK / 4));
  const stream = async function* () {
    yield head;
    for (let chunk = 0; chunk < 200; chunk++) yield blocks;
  };
  const watched = watchedMemory(stream());
  await expect(all(decompress(watched.stream))).rejects.toThrow();
  expect(watched.memory.most).toBeLessThan(64 << 20);
});

test("others' frames of many small blocks are read all the same", async () => {
  const magic = [0x28, 0xb5, 0x2f, 0xfd];
  const count = 60_000;
  // Each block holds one byte, as after a flush for each; the content's size is in four bytes.
  const head = Buffer.from([...magic, 0xa0, 0, 0, 0, 0]);
  head.writeUInt32LE(count, 5);
  const blocks = Buffer.alloc(4 * count);
  for (let at = 0; at < count; at++) {
    blocks.writeUIntLE((1 << 3) | (at === count - 1 ? 1 : 0), 4 * at, 3);
    blocks.writeUInt8(at & 0xff, 4 * at + 3);
  }
  const found = await all(decompress(inChunks(Buffer.concat([head, blocks]), 50_000)));
  expect(found).toEqual(Buffer.from(Array.from({ length: count }, (_, at) => at & 0xff)));
});
