import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSystemError } from "@lifeboat/core";
import type { Account } from "@lifeboat/postgres";
import { execa } from "execa";

const FILLER = ".filler";
/** How the folder is called on which one is mounted: a run that is killed leaves it so. */
export const SMALL_DISK = "lifeboat-disk-";

/** A file system of its own, so small that it can be filled: only root may mount one. */
export class SmallDisk implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** @param account who may write to it, beside us */
  static async mount(mebibytes: number, account?: Account): Promise<SmallDisk> {
    const path = await mkdtemp(join(tmpdir(), SMALL_DISK));
    await execa("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m,mode=755`, "none", path]);
    if (account?.foreign) await chown(path, account.uid, account.gid);
    return new SmallDisk(path);
  }

  get free(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Leaves so many bytes of room; at once, so that whoever works on it gets no further meanwhile. */
  fill(leaving = 0): void {
    try {
      writeFileSync(join(this.path, FILLER), Buffer.alloc(Math.max(0, this.free - leaving)));
    } catch (thrown) {
      // Another process took some of the room since: full it is.
      if (!isSystemError(thrown, "ENOSPC")) throw thrown;
    }
  }

  /** As if somebody had made room. */
  makeRoom(): void {
    rmSync(join(this.path, FILLER), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await execa("umount", ["-l", this.path]);
    await rm(this.path, { recursive: true });
  }
}

/** Whether this machine lets us mount one: containers may not. */
export async function canMount(): Promise<boolean> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    const disk = await SmallDisk.mount(1);
    await disk[Symbol.asyncDispose]();
    return true;
  } catch {
    return false;
  }
}
