import { Readable } from "node:stream";
import { createZstdDecompress } from "node:zlib";
import { decompressFrame } from "./frame.ts";
import { inOrder } from "./in-order.ts";
import { type Remainder, splitFrames } from "./split-frames.ts";

/** Node's pool has four threads, and files are read and written by them too. */
const MOST_AT_ONCE = 3;

/**
 * The content of a `.zst` stream: all frames, skippable ones passed over. Our own frames are unpacked
 * on all cores, in order; others' as one stream. Throws when the stream is cut or damaged.
 * @param atOnce frames that are unpacked at once
 */
export async function* decompress(
  content: AsyncIterable<Uint8Array>,
  atOnce: number = MOST_AT_ONCE,
): AsyncGenerator<Uint8Array> {
  let rest: Remainder | undefined;
  const tasks = async function* () {
    for await (const part of splitFrames(content)) {
      if ("remainder" in part) {
        rest = part;
        return;
      }
      yield () => decompressFrame(part.bytes, part.contentBytes);
    }
  };
  try {
    for await (const chunk of inOrder(tasks(), atOnce)) if (chunk.length > 0) yield chunk;
    if (rest) yield* decompressAsOne(rest.remainder);
  } finally {
    await rest?.close();
  }
}

/** Needs Node 26: older ones stop after the first frame. */
async function* decompressAsOne(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = Readable.from(content, { objectMode: false, highWaterMark: 1 << 20 });
  const zstd = createZstdDecompress({ chunkSize: 1 << 18 });
  source.on("error", (reason) => zstd.destroy(reason));
  source.pipe(zstd);
  try {
    for await (const chunk of zstd) yield chunk;
  } finally {
    source.destroy();
    zstd.destroy();
  }
}
