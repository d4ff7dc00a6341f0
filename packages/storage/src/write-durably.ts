import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { Ownership } from "./ownership.ts";
import { ReadBack } from "./read-back.ts";

/** So much is made durable and read back at once. A disk that is kept busy has little left to do at the end. */
const SPAN_BYTES = 32 << 20;

/**
 * Writes a new file, fsyncs it, and reads it back. While one chunk is being written the next one is asked for, so
 * a chunk's memory may not be used again.
 * @throws LifeboatError `STORAGE_CORRUPTS` when the disk gives back something else
 */
export async function writeDurably(
  file: string,
  content: AsyncIterable<Uint8Array> | Uint8Array,
  ownership: Ownership,
): Promise<number> {
  const handle = await open(file, "wx+", 0o600);
  const readBack = new ReadBack(handle);
  let writing = Promise.resolve();
  let bytes = 0;
  let begun = 0;
  let sum = 0;
  try {
    for await (const chunk of content instanceof Uint8Array ? [content] : content) {
      await writing;
      if (bytes - begun >= SPAN_BYTES) {
        await readBack.begin(bytes);
        begun = bytes;
      }
      writing = writeWhole(handle, chunk);
      // It is awaited before the next one; until then a failure is not an unhandled one.
      writing.catch(() => {});
      bytes += chunk.length;
      sum = crc32(chunk, sum);
    }
    await writing;
    await ownership.give(handle);
    await handle.sync();
    await readBack.finish(bytes, sum);
  } finally {
    // Nobody may write to, or read from, a handle that is closed and perhaps another file's by then.
    await writing.catch(() => {});
    await readBack.idle();
    await handle.close();
  }
  return bytes;
}

/** A write may be short (a full disk says so only at the next one). */
async function writeWhole(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let written = 0;
  while (written < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, written, chunk.length - written);
    written += bytesWritten;
  }
}
