import { statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { isSystemError } from "@lifeboat/core";

/** Magic numbers of statfs(2) for file systems that other machines write to. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xfe534d42, "SMB"],
  [0xff534d42, "CIFS"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x73757245, "Coda"],
  [0x564c, "NCP"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x47504653, "GPFS"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
]);
const TMPFS = 0x01021994;
const FUSE = 0x65735546;
const PLAN9 = 0x01021997;

/**
 * The name of the network file system that a statfs type stands for. Shared memory and locks, on which
 * a WAL-mode database rests, do not reach over one (sqlite.org/wal.html); undefined for others.
 */
export function networkFileSystem(type: number): string | undefined {
  return NETWORK.get(type >>> 0);
}

/** Whether a file system of this type may or may not be on another machine. */
export function mayBeRemote(type: number): boolean {
  return type >>> 0 === FUSE || type >>> 0 === PLAN9;
}

export interface Room {
  /** Bytes that this user can still write. */
  readonly freeBytes: number;
  readonly type: number;
  /** Whether the files lie in memory. */
  readonly memory: boolean;
}

/** What the file system of a path holds; of its nearest folder that exists. */
export async function roomAt(path: string): Promise<Room> {
  try {
    const { bavail, bsize, blocks, type } = await statfs(path);
    const linux = process.platform === "linux";
    return {
      // Some file systems do not count.
      freeBytes: blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize,
      // Elsewhere the numbers mean other things.
      type: linux ? type : 0,
      memory: linux && type >>> 0 === TMPFS,
    };
  } catch (thrown) {
    const parent = dirname(resolve(path));
    if (!isSystemError(thrown, "ENOENT") || parent === path) throw thrown;
    return roomAt(parent);
  }
}
