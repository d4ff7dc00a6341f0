import type { FileHandle } from "node:fs/promises";
import type { Account } from "../files/account.ts";
import type { DeltaTally } from "./delta-tally.ts";

/** As almost every cluster has it; where pages are of another size, some more is written. */
const PAGE_BYTES = 8 << 10;

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

  /**
   * Brings a part of it to a content, page by page: of a MiB often only one differs.
   * @param stands what stands there; undefined where the file ends before
   */
  async bring(
    content: Buffer,
    { stands, offset, tally }: { stands: Buffer | undefined; offset: number; tally: DeltaTally },
  ): Promise<void> {
    let written = 0;
    for (let at = 0; at < content.length; ) {
      let end = at;
      while (end < content.length && isOther(content, stands, end)) end += PAGE_BYTES;
      end = Math.min(end, content.length);
      if (end > at) await this.write(content.subarray(at, end), offset + at);
      written += end - at;
      at = end + PAGE_BYTES;
    }
    tally.count({ kept: content.length - written, written });
  }

  async write(content: Uint8Array, offset: number): Promise<void> {
    for (let written = 0; written < content.length; ) {
      const left = content.length - written;
      const { bytesWritten } = await this.handle.write(content, written, left, offset + written);
      written += bytesWritten;
    }
  }
}

function isOther(content: Buffer, stands: Buffer | undefined, at: number): boolean {
  const end = Math.min(at + PAGE_BYTES, content.length);
  return !stands || content.compare(stands, at, end, at, end) !== 0;
}
