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
