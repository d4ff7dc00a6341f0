import type { FileHandle } from "node:fs/promises";
import type { Account } from "../account.ts";

/** A file of a directory that is brought to a backup's state. */
export class StandingFile {
  readonly handle: FileHandle;
  /** As it shall be. */
  readonly bytes: number;

  private constructor(handle: FileHandle, bytes: number) {
    this.handle = handle;
    this.bytes = bytes;
  }

  /** Takes a regular file over: right, owner and at most the length that it shall have. */
  static async take(
    handle: FileHandle,
    wanted: { readonly bytes: number; readonly mode: number; readonly account: Account },
  ): Promise<StandingFile> {
    const { bytes, mode, account } = wanted;
    const found = await handle.stat();
    if ((found.mode & 0o7777) !== mode) await handle.chmod(mode);
    const isOwn = found.uid === account.uid && found.gid === account.gid;
    if (account.foreign && !isOwn) await handle.chown(account.uid, account.gid);
    if (found.size > bytes) await handle.truncate(bytes);
    return new StandingFile(handle, bytes);
  }

  /** Fills memory with what stands there; false where the file ends before. */
  async read(memory: Uint8Array, offset: number): Promise<boolean> {
    for (let filled = 0; filled < memory.length; ) {
      const left = memory.length - filled;
      const { bytesRead } = await this.handle.read(memory, filled, left, offset + filled);
      if (bytesRead === 0) return false;
      filled += bytesRead;
    }
    return true;
  }

  /** Cuts off what is no whole block at its end: it was read while the server made it longer. */
  async endWithBlock(blockBytes: number): Promise<void> {
    const { size } = await this.handle.stat();
    if (size % blockBytes > 0) await this.handle.truncate(size - (size % blockBytes));
  }

  /** Makes it so long at least, by zeros. */
  async extend(bytes: number): Promise<void> {
    if ((await this.handle.stat()).size < bytes) await this.handle.truncate(bytes);
  }

  async write(content: Uint8Array, offset: number): Promise<void> {
    for (let written = 0; written < content.length; ) {
      const left = content.length - written;
      const { bytesWritten } = await this.handle.write(content, written, left, offset + written);
      written += bytesWritten;
    }
  }
}
