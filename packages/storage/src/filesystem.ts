import { constants } from "node:fs";
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  rm,
  rmdir,
  stat,
  statfs,
  unlink,
} from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { crc32 } from "node:zlib";
import {
  type ByteRange,
  isSystemError,
  LifeboatError,
  type ListOptions,
  type ListPage,
  type Storage,
  type StoredObject,
} from "@lifeboat/core";
import { assertObjectPath, objectExists, objectMissing } from "./errors.ts";
import { filesystemFailure } from "./filesystem-failure.ts";
import { type Ownership, ownershipOf } from "./ownership.ts";
import { pageOf } from "./page.ts";
import { TemporaryNames } from "./temporary-names.ts";

/** Where objects grow before they get their name: inside the repository, so that a link suffices. */
const GROWING = ".lifeboat-tmp";
const READ_BYTES = 1 << 18;

/**
 * A directory of a mounted file system as a storage.
 *
 * An object is written under a temporary name, fsynced, given its name by a hard link (which, other
 * than rename, never replaces what is there), and made durable by an fsync of its directory. Files
 * are 0600, directories 0700. Run as root, new files belong to the owner of the repository's
 * directory, so that the archiver (which runs as `postgres`) and a nightly backup (which may run as
 * root) can share one.
 *
 * @param path an absolute path, or one relative to the working directory
 */
export function filesystemStorage({ path }: { path: string }): Storage {
  return new FilesystemStorage(resolve(path));
}

class FilesystemStorage implements Storage {
  readonly description: string;
  readonly #root: string;
  readonly #temporary: TemporaryNames;
  #ownership: Promise<Ownership> | undefined;

  constructor(root: string) {
    this.#root = root;
    this.description = `filesystem ${root}`;
    this.#temporary = new TemporaryNames(join(root, GROWING));
  }

  async create(path: string, content: AsyncIterable<Uint8Array> | Uint8Array): Promise<number> {
    const final = this.#place(path);
    try {
      const ownership = await this.#owner();
      await ownership.makeDirectories(this.#root, join(this.#root, GROWING));
      const growing = await this.#temporary.next();
      try {
        const bytes = await writeDurably(growing, content, ownership);
        await ownership.makeDirectories(this.#root, dirname(final));
        await link(growing, final);
        await syncDirectory(dirname(final));
        return bytes;
      } finally {
        await rm(growing, { force: true });
      }
    } catch (cause) {
      if (isSystemError(cause, "EEXIST")) throw objectExists(this.description, path, cause);
      throw filesystemFailure(cause, `write ${path} to`, this.description);
    }
  }

  async *read(path: string, range?: ByteRange): AsyncGenerator<Uint8Array> {
    const file = await open(this.#place(path), constants.O_RDONLY | constants.O_NOFOLLOW).catch(
      (cause) => {
        if (isSystemError(cause, "ENOENT") || isSystemError(cause, "ENOTDIR"))
          throw objectMissing(this.description, path, cause);
        throw filesystemFailure(cause, `read ${path} from`, this.description);
      },
    );
    try {
      let position = range?.start ?? 0;
      const end = range?.end ?? Number.POSITIVE_INFINITY;
      while (position < end) {
        const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - position));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } catch (cause) {
      throw filesystemFailure(cause, `read ${path} from`, this.description);
    } finally {
      await file.close();
    }
  }

  async stat(path: string): Promise<StoredObject | undefined> {
    try {
      const found = await stat(this.#place(path));
      return found.isFile() ? { path, bytes: found.size, storedAt: found.mtime } : undefined;
    } catch (cause) {
      if (isSystemError(cause, "ENOENT") || isSystemError(cause, "ENOTDIR")) {
        await this.#assertReachable();
        return undefined;
      }
      throw filesystemFailure(cause, `look for ${path} in`, this.description);
    }
  }

  async list(options: ListOptions): Promise<ListPage> {
    // Only the folders that the prefix leads into are read, not the whole repository.
    const start = options.prefix.slice(0, options.prefix.lastIndexOf("/") + 1);
    try {
      if (start !== "") assertObjectPath(start.slice(0, -1));
      const all = await this.#pathsBelow(start, options.prefix, options.folded ?? false);
      const { paths, folders, next } = pageOf(all, options);
      const objects = await Promise.all(paths.map((path) => this.#known(path)));
      return { objects: objects.filter((object) => object !== undefined), folders, next };
    } catch (cause) {
      throw filesystemFailure(cause, `list ${options.prefix || "/"} in`, this.description);
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await unlink(this.#place(path));
      await syncDirectory(dirname(this.#place(path)));
      await this.#removeEmptyFolders(dirname(this.#place(path)));
    } catch (cause) {
      if (isSystemError(cause, "ENOENT") || isSystemError(cause, "ENOTDIR")) return;
      throw filesystemFailure(cause, `remove ${path} from`, this.description);
    }
  }

  async initialize(): Promise<void> {
    try {
      await mkdir(this.#root, { mode: 0o700 }).catch((cause) => {
        if (!isSystemError(cause, "EEXIST")) throw cause;
      });
      await syncDirectory(dirname(this.#root));
    } catch (cause) {
      throw filesystemFailure(cause, "make", this.description);
    }
  }

  async freeBytes(): Promise<number | null> {
    try {
      const { bavail, bsize } = await statfs(this.#root);
      return bavail * bsize;
    } catch (cause) {
      throw filesystemFailure(cause, "measure the free space of", this.description);
    }
  }

  #place(path: string): string {
    assertObjectPath(path);
    return join(this.#root, path);
  }

  #owner(): Promise<Ownership> {
    this.#ownership ??= ownershipOf(this.#root);
    return this.#ownership;
  }

  /** A missing object proves something only while the repository itself is there. */
  async #assertReachable(): Promise<void> {
    await stat(this.#root).catch((cause) => {
      throw filesystemFailure(cause, "reach", this.description);
    });
  }

  /** Paths below a folder that can match the prefix; folders themselves, with their `/`, when folded. */
  async #pathsBelow(folder: string, prefix: string, folded: boolean): Promise<string[]> {
    const found: string[] = [];
    for (const entry of await entriesOf(join(this.#root, folder))) {
      const path = `${folder}${entry.name}`;
      if (entry.name === GROWING) continue;
      if (entry.isFile()) found.push(path);
      else if (entry.isDirectory() && folded) found.push(`${path}/`);
      else if (entry.isDirectory() && leadsTo(`${path}/`, prefix))
        found.push(...(await this.#pathsBelow(`${path}/`, prefix, folded)));
    }
    return found;
  }

  /** Undefined when it was removed since it was listed. */
  async #known(path: string): Promise<StoredObject | undefined> {
    try {
      const { size, mtime } = await stat(join(this.#root, path));
      return { path, bytes: size, storedAt: mtime };
    } catch (cause) {
      if (isSystemError(cause, "ENOENT")) return undefined;
      throw cause;
    }
  }

  /** Storages without folders forget an empty one by themselves; here we do. */
  async #removeEmptyFolders(folder: string): Promise<void> {
    if (folder === this.#root || !folder.startsWith(this.#root)) return;
    try {
      await rmdir(folder);
    } catch (cause) {
      if (["ENOTEMPTY", "EEXIST", "ENOENT"].some((code) => isSystemError(cause, code))) return;
      throw cause;
    }
    await this.#removeEmptyFolders(dirname(folder));
  }
}

function leadsTo(folder: string, prefix: string): boolean {
  return folder.startsWith(prefix) || prefix.startsWith(folder);
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (cause) {
    if (isSystemError(cause, "ENOENT") || isSystemError(cause, "ENOTDIR")) return [];
    throw cause;
  }
}

async function writeDurably(
  file: string,
  content: AsyncIterable<Uint8Array> | Uint8Array,
  ownership: Ownership,
): Promise<number> {
  const handle = await open(file, "wx+", 0o600);
  let bytes = 0;
  let sum = 0;
  try {
    for await (const chunk of content instanceof Uint8Array ? [content] : content) {
      await writeWhole(handle, chunk);
      bytes += chunk.length;
      sum = crc32(chunk, sum);
    }
    await ownership.give(handle);
    await handle.sync();
    await confirm(handle, bytes, sum);
  } finally {
    await handle.close();
  }
  return bytes;
}

/** Reads back what was written: a disk that lost it must be known now, not on the day of the restore. */
async function confirm(handle: FileHandle, bytes: number, sum: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let position = 0;
  let found = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) break;
    found = crc32(buffer.subarray(0, bytesRead), found);
    position += bytesRead;
  }
  if (position !== bytes || found !== sum)
    throw new LifeboatError({
      code: "STORAGE_CORRUPTS",
      message: `the disk gave back other bytes than were written (${position} of ${bytes})`,
      remedy: "look at the disk and its log (dmesg); nothing was stored",
    });
}

/** A write may be short (a full disk says so only at the next one). */
async function writeWhole(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let written = 0;
  while (written < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, written, chunk.length - written);
    written += bytesWritten;
  }
}

/** Makes names durable: a rename or link is on disk only when its directory is. */
async function syncDirectory(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
