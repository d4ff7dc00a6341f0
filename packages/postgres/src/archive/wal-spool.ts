import { link, open, readdir, readFile, rename, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  isSystemError,
  makeDirectories,
  ownProcessMark,
  processOfMarkIsGone,
  syncDirectory,
} from "@lifeboat/core";
import { parseWalFileName } from "../wal/segment-name.ts";

/**
 * Where prefetched segments lie, from the data directory: on the file system of `pg_wal`, so that
 * taking one is a rename. Servers pass over names in `pg_wal` that are none of theirs, and so do base backups.
 */
export const SPOOL = "pg_wal/lifeboat.spool";

const OWNER = "prefetcher";
const GROWING = ".growing";

/**
 * Whatever is prefetched, the server keeps room for so many segments (of the usual size 1 GiB), since it writes to the
 * same file system, and stops when that is full.
 */
const LEFT_FREE_SEGMENTS = 64;
const LEFT_FREE_BYTES = 1 << 30;
const LEAST_LEFT_FREE = 8;

/** How many segments may be laid into a directory's file system. */
export async function roomFor(directory: string, segmentBytes: number): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  const left = Math.min(
    LEFT_FREE_SEGMENTS * segmentBytes,
    Math.max(LEFT_FREE_BYTES, LEAST_LEFT_FREE * segmentBytes),
  );
  return Math.floor((bavail * bsize - left) / segmentBytes);
}

/** A directory of checked segments, each whole and durable under its own name. */
export class WalSpool {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Becomes the one that fills it; false when another living process is. */
  async acquire(): Promise<boolean> {
    await makeDirectories(this.directory, 0o700);
    const path = join(this.directory, OWNER);
    const mark = `${path}.${process.pid}`;
    for (let tries = 0; tries < 2; tries++) {
      try {
        await writeFile(mark, ownProcessMark(), { mode: 0o600 });
        // A link is there with all of its content, or not at all.
        await link(mark, path);
        return true;
      } catch (thrown) {
        if (!isSystemError(thrown, "EEXIST")) throw thrown;
        if (await this.isFilled()) return false;
        await rm(path, { force: true });
      } finally {
        await rm(mark, { force: true });
      }
    }
    return false;
  }

  /** Whether a living process fills it. */
  async isFilled(): Promise<boolean> {
    const mark = await readFile(join(this.directory, OWNER), "utf8").catch(() => undefined);
    return mark !== undefined && mark !== "" && !processOfMarkIsGone(mark);
  }

  /** The segments that lie ready. */
  async ready(): Promise<string[]> {
    const names = await readdir(this.directory).catch((cause: unknown) => {
      if (isSystemError(cause, "ENOENT")) return [];
      throw cause;
    });
    return names.filter((name) => parseWalFileName(name)?.kind === "segment").sort();
  }

  /** Puts a segment under its name once all of it is there: a reader takes it unseen. */
  async put(name: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const growing = join(this.directory, `${name}${GROWING}`);
    try {
      const file = await open(growing, "w", 0o600);
      try {
        for await (const chunk of content) await file.writeFile(chunk);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(growing, join(this.directory, name));
      await syncDirectory(this.directory);
    } catch (thrown) {
      await rm(growing, { force: true });
      throw thrown;
    }
  }

  /** Removes it with all that nobody took. */
  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Removes what another run left that is not wanted. */
  async clear(isWanted: (name: string) => boolean): Promise<void> {
    for (const name of await readdir(this.directory))
      if (name !== OWNER && !isWanted(name)) await rm(join(this.directory, name), { force: true });
  }
}
