import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError, LifeboatError, reasonOf } from "@lifeboat/core";
import { execa } from "execa";
import { type Account, runAs } from "../../files/account.ts";
import type { DirectoryEntry, FileSource, SourceFile } from "./file-source.ts";

/** A multiple of every page size. */
const CHUNK_BYTES = 1 << 19;
/** A folder may hold a million files: looked at all at once, each takes a kilobyte of our memory. */
const LOOKS_AT_ONCE = 256;

/** A data directory on this host, read straight from the disk. */
export class LocalFiles implements FileSource {
  readonly #directory: string;
  readonly #account: Account | undefined;
  /** Memory of chunks that were read through: fresh memory for each costs a fifth of a backup's time. */
  readonly #spares: Buffer[] = [];

  /**
   * @param account that writes there, and is not ourselves: between our look and our reading it can put a link to any file of the host in the place of one
   *   of its own, or a pipe that nobody fills. Only what it may read itself is read. Everything when left out
   */
  constructor(directory: string, account?: Account) {
    this.#directory = directory;
    this.#account = account;
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
    const file = await this.#tried(path, () => this.#opened(join(this.#directory, path)));
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

  /** All is asked of what was opened: the name may be another file's a moment later. */
  async #opened(path: string): Promise<FileHandle> {
    const file = await open(path, READ).catch((cause: unknown) => {
      throw isSystemError(cause, "ELOOP") ? new Error("it is a symbolic link", { cause }) : cause;
    });
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new Error("it is no regular file");
      const account = this.#account;
      if (account && found.uid !== account.uid && !(await mayRead(account, path, found)))
        throw new Error(`it belongs to another account, and ${account.name} may not read it`);
      return file;
    } catch (cause) {
      await file.close();
      throw cause;
    }
  }

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

const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Whether the account itself gets to this very file by that name, and may read it, as a key of the server's that belongs to root. A program that we
 * start as the account is in none of its further groups.
 */
async function mayRead(account: Account, path: string, found: Stats): Promise<boolean> {
  const script = 'stat -L -c %d:%i -- "$1" && test -r "$1"';
  const { stdout, failed } = await execa("sh", ["-c", script, "sh", path], {
    ...runAs(account),
    reject: false,
  });
  if (stdout !== `${found.dev}:${found.ino}`) return false;
  if (!failed) return true;
  const { stdout: groups } = await execa("id", ["-G", "--", account.name]);
  return (found.mode & 0o040) !== 0 && groups.split(" ").includes(`${found.gid}`);
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
