import type { FileHandle } from "node:fs/promises";

/** How many files are written before they are made durable together: their flushes overlap. */
const BATCH_FILES = 64;
const BATCH_BYTES = 64 * 2 ** 20;
/** How many small files are made at once: each is some four turns of a thread, and mostly waiting for them. */
const AT_ONCE = 8;

/**
 * Files of one archive that are written, or being written, and not yet durable. While a full batch is made durable, the
 * next one is filled.
 */
export class FileBatch {
  #files: Promise<FileHandle>[] = [];
  #bytes = 0;
  readonly #making = new Set<Promise<void>>();
  #flushing: Promise<void> = Promise.resolve();

  /** A file that is written. It is closed with the batch. */
  add(file: FileHandle, bytes: number): void {
    this.#take(Promise.resolve(file), bytes);
  }

  /**
   * Has a small file made beside others; waits only where many are under way. What fails is thrown by `flushIfFull` or `sync`.
   * @param make opens and writes it; where it fails, it leaves nothing open
   */
  async begin(make: () => Promise<FileHandle>, bytes: number): Promise<void> {
    while (this.#making.size >= AT_ONCE) await Promise.race(this.#making);
    const made = make();
    const settled: Promise<void> = made
      .then(
        () => {},
        () => {},
      )
      .finally(() => this.#making.delete(settled));
    this.#making.add(settled);
    this.#take(made, bytes);
  }

  /** @throws what making a file, or an earlier flush, failed with */
  async flushIfFull(): Promise<void> {
    if (this.#files.length < BATCH_FILES && this.#bytes < BATCH_BYTES) return;
    await this.#flushing;
    this.#flushing = syncAndClose(this.#takeOut());
    // It is awaited before the next one; until then a failure is not an unhandled one.
    this.#flushing.catch(() => {});
  }

  /** Resolves when all of them are durable, and closed. @throws as `flushIfFull` */
  async sync(): Promise<void> {
    await this.#flushing;
    await syncAndClose(this.#takeOut());
  }

  /** Closes what is left, durable or not. */
  async close(): Promise<void> {
    // Whoever waited for it was told why it failed.
    await this.#flushing.catch(() => {});
    await closeAll(await Promise.allSettled(this.#takeOut()));
  }

  #take(file: Promise<FileHandle>, bytes: number): void {
    file.catch(() => {});
    this.#files.push(file);
    this.#bytes += bytes;
  }

  #takeOut(): Promise<FileHandle>[] {
    this.#bytes = 0;
    return this.#files.splice(0);
  }
}

async function syncAndClose(files: readonly Promise<FileHandle>[]): Promise<void> {
  const made = await Promise.allSettled(files);
  try {
    await Promise.all(made.map(async (each) => handleOf(each).sync()));
  } finally {
    await closeAll(made);
  }
}

async function closeAll(made: readonly PromiseSettledResult<FileHandle>[]): Promise<void> {
  await Promise.all(made.map(async (each) => each.status === "fulfilled" && each.value.close()));
}

function handleOf(made: PromiseSettledResult<FileHandle>): FileHandle {
  if (made.status === "rejected") throw made.reason;
  return made.value;
}
