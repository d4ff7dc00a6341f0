import { type FileHandle, open } from "node:fs/promises";

/** One fsync of this process. */
export interface Fsync {
  /** Which file or directory, whatever its name is by now. */
  readonly inode: number;
  readonly directory: boolean;
}

/**
 * Hears every fsync that this process makes through a file handle, just before it is made. The data
 * that a power cut would take cannot be seen afterwards, so their order is what a test can hold on to.
 */
export class FsyncWatch {
  readonly #prototype: Pick<FileHandle, "sync">;
  readonly #own: FileHandle["sync"];

  private constructor(prototype: Pick<FileHandle, "sync">, heard: (fsync: Fsync) => unknown) {
    this.#prototype = prototype;
    this.#own = prototype.sync;
    const own = this.#own;
    prototype.sync = async function (this: FileHandle) {
      const found = await this.stat();
      await heard({ inode: found.ino, directory: found.isDirectory() });
      return own.call(this);
    };
  }

  static async start(heard: (fsync: Fsync) => unknown): Promise<FsyncWatch> {
    const handle = await open(import.meta.filename);
    try {
      return new FsyncWatch(Object.getPrototypeOf(handle), heard);
    } finally {
      await handle.close();
    }
  }

  [Symbol.dispose](): void {
    this.#prototype.sync = this.#own;
  }
}

/** From here on no page of a file that is still being written reaches the disk, and the system says so. */
export async function loseWrittenPages(): Promise<Disposable> {
  const handle = await open(import.meta.filename);
  const prototype = Object.getPrototypeOf(handle) as Pick<FileHandle, "datasync">;
  await handle.close();
  const own = prototype.datasync;
  prototype.datasync = async () => {
    throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
  };
  return {
    [Symbol.dispose]() {
      prototype.datasync = own;
    },
  };
}
