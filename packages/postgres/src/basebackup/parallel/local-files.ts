import type { Stats } from "node:fs";
import { type FileHandle, lstat, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError, LifeboatError, reasonOf } from "@lifeboat/core";
import type { DirectoryEntry, FileSource, SourceFile } from "./file-source.ts";

/** A multiple of every page size. */
const CHUNK_BYTES = 1 << 19;
/** A folder may hold a million files: looked at all at once, each takes a kilobyte of our memory. */
const LOOKS_AT_ONCE = 256;

/** A data directory on this host, read straight from the disk. */
export class LocalFiles implements FileSource {
  readonly #directory: string;
  /** Memory of chunks that were read through: fresh memory for each costs a fifth of a backup's time. */
  readonly #spares: Buffer[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  async readDirectory(path: string): Promise<readonly DirectoryEntry[]> {
    const folder = join(this.#directory, path);
    const names = (await this.#tried(path, () => readdir(folder))) ?? [];
    // The links that the server itself makes are followed: to its WAL, and to tablespaces.
    const isFollowed = (name: string) => path === "pg_tblspc" || (path === "" && name === "pg_wal");
    const entries: DirectoryEntry[] = [];
    for (let first = 0; first < names.length; first += LOOKS_AT_ONCE) {
      const looks = names.slice(first, first + LOOKS_AT_ONCE).map(async (name) => {
        const look = isFollowed(name) ? stat : lstat;
        return entryOf(name, await this.#tried(name, () => look(join(folder, name))));
      });
      for (const entry of await Promise.all(looks)) if (entry) entries.push(entry);
    }
    return entries;
  }

  async open(path: string): Promise<SourceFile | undefined> {
    const file = await this.#tried(path, () => open(join(this.#directory, path)));
    if (!file) return undefined;
    const { size: bytes, mode, mtime: modified } = await file.stat();
    return {
      bytes,
      mode: mode & 0o7777,
      modified,
      read: () => this.#chunksOf(file, bytes),
      readAt: (offset, length) => readInto(Buffer.allocUnsafeSlow(length), file, offset),
      close: () => file.close(),
    };
  }

  async close(): Promise<void> {}

  async *#chunksOf(file: FileHandle, bytes: number): AsyncGenerator<Buffer> {
    const memory = this.#spares.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    try {
      for (let at = 0; at < bytes; ) {
        const length = Math.min(CHUNK_BYTES, bytes - at);
        const chunk = await readInto(memory.subarray(0, length), file, at);
        if (chunk.length === 0) return;
        yield chunk;
        at += chunk.length;
      }
    } finally {
      this.#spares.push(memory);
    }
  }

  async #tried<T>(path: string, access: () => Promise<T>): Promise<T | undefined> {
    try {
      return await access();
    } catch (cause) {
      if (isSystemError(cause, "ENOENT")) return undefined;
      throw unreadable(join(this.#directory, path), cause);
    }
  }
}

function entryOf(name: string, found: Stats | undefined): DirectoryEntry | undefined {
  if (!found || !(found.isFile() || found.isDirectory())) return undefined;
  const kind = found.isFile() ? "file" : "directory";
  return { name, kind, mode: found.mode & 0o7777, bytes: found.size, modifiedMs: found.mtimeMs };
}

/** As much as there is: one call may give less. */
async function readInto(buffer: Buffer, file: FileHandle, offset: number): Promise<Buffer> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function unreadable(path: string, cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "DATA_DIRECTORY_UNREADABLE",
    message: `${path} cannot be read: ${reasonOf(cause)}`,
    remedy: "run the backup as the account that owns the data directory, or take --transport wire",
    details: { path },
    cause,
  });
}
