import { type FileHandle, open } from "node:fs/promises";

const READ_BYTES = 1 << 20;

/**
 * The content of a file through two buffers in turn: while one is worked on, the other is filled. A chunk is valid until
 * the next one is asked for. Fresh memory for each would cost more than its SHA-256: the kernel
 * clears every page of it.
 */
export async function* readAhead(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  let reading: Promise<Uint8Array> | undefined;
  try {
    let [buffer, other] = [bufferToFill(), bufferToFill()];
    let position = 0;
    reading = fill(file, buffer, position);
    for (;;) {
      const chunk = await reading;
      if (chunk.length === 0) return;
      position += chunk.length;
      [buffer, other] = [other, buffer];
      reading = fill(file, buffer, position);
      // It is awaited in its turn; until then a failure is not an unhandled one.
      reading.catch(() => {});
      yield chunk;
    }
  } finally {
    // Nobody may read from a handle that is closed and perhaps another file's by then.
    await reading?.catch(() => {});
    await file.close();
  }
}

function bufferToFill(): Buffer {
  return Buffer.allocUnsafeSlow(READ_BYTES);
}

async function fill(file: FileHandle, buffer: Buffer, position: number): Promise<Uint8Array> {
  const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
  return buffer.subarray(0, bytesRead);
}
