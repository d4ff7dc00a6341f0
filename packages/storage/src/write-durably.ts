import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { LifeboatError } from "@lifeboat/core";
import type { Ownership } from "./ownership.ts";

const READ_BYTES = 1 << 18;

/**
 * Writes a new file, fsyncs it, and reads it back.
 * @throws LifeboatError `STORAGE_CORRUPTS` when the disk gives back something else
 */
export async function writeDurably(
  file: string,
  content: AsyncIterable<Uint8Array> | Uint8Array,
  ownership: Ownership,
): Promise<number> {
  const handle = await open(file, "wx+", 0o600);
  let bytes = 0;
  let sum = 0;
  try {
    for await (const chunk of content instanceof Uint8Array ? [content] : content) {
      await writeWhole(handle, chunk);
      bytes += chunk.length;
      sum = crc32(chunk, sum);
    }
    await ownership.give(handle);
    await handle.sync();
    await confirm(handle, bytes, sum);
  } finally {
    await handle.close();
  }
  return bytes;
}

/** Reads back what was written: a disk that lost it must be known now, not on the day of the restore. */
async function confirm(handle: FileHandle, bytes: number, sum: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let position = 0;
  let found = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) break;
    found = crc32(buffer.subarray(0, bytesRead), found);
    position += bytesRead;
  }
  if (position !== bytes || found !== sum)
    throw new LifeboatError({
      code: "STORAGE_CORRUPTS",
      message: `the disk gave back other bytes than were written (${position} of ${bytes})`,
      remedy: "look at the disk and its log (dmesg); nothing was stored",
    });
}

/** A write may be short (a full disk says so only at the next one). */
async function writeWhole(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let written = 0;
  while (written < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, written, chunk.length - written);
    written += bytesWritten;
  }
}
