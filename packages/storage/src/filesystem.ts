import { constants } from "node:fs";
import {
  type FileHandle,
  link,
  lstat,
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
import {
  type ByteRange,
  isSystemError,
  type ListOptions,
  type ListPage,
  type Storage,
  type StoredObject,
  syncDirectory,
} from "@lifeboat/core";
import { assertObjectPath, noObject, objectExists, objectMissing } from "./errors.ts";
import { filesystemFailure, objectFailure } from "./filesystem-failure.ts";
import { assertInside, assertNoFolder } from "./inside.ts";
import { type Ownership, ownershipOf } from "./ownership.ts";
import { pageOf } from "./page.ts";
import { TemporaryNames } from "./temporary-names.ts";
import { writeDurably } from "./write-durably.ts";

/** Where objects grow before they get their name: inside the repository, so that a link suffices. */
const GROWING = ".lifeboat-tmp";
const READ_BYTES = 1 << 18;
/** A folder is not empty, is gone, or stands where nothing can be removed: then it stays, and the object is gone all the same. */
const STAYS = ["ENOTEMPTY", "EEXIST", "ENOENT", "EACCES", "EPERM", "EBUSY"];
/** Each waiting look takes a kilobyte. */
const LOOKS_AT_ONCE = 1000;
/** Each needs another process that has emptied the folder once more. */
const MOST_TRIES = 100;

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
      await assertInside(this.#root, join(this.#root, GROWING));
      await assertInside(this.#root, dirname(final));
      await ownership.makeDirectories(this.#root, join(this.#root, GROWING));
      const growing = await this.#temporary.next();
      try {
        const bytes = await writeDurably(growing, content, ownership);
        await this.#name(growing, final, ownership);
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

  /** Whoever removes the last object of a folder removes that as well, also just when it was made for this one: it is made again. */
  async #name(growing: string, final: string, ownership: Ownership): Promise<void> {
    for (let tries = 1; ; tries++)
      try {
        await ownership.makeDirectories(this.#root, dirname(final));
        return await link(growing, final);
      } catch (cause) {
        if (tries === MOST_TRIES || !isSystemError(cause, "ENOENT")) throw cause;
        // Gone with the repository, it is no folder that is missing.
        await stat(growing);
      }
  }

  async *read(path: string, range?: ByteRange): AsyncGenerator<Uint8Array> {
    const file = await this.#open(path);
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
      throw objectFailure(cause, path, this.description);
    } finally {
      await file.close();
    }
  }

  async stat(path: string): Promise<StoredObject | undefined> {
    const place = this.#place(path);
    try {
      await assertInside(this.#root, dirname(place));
      const found = await lstat(place);
      // Something else under its name does not prove that the object is absent.
      if (!found.isFile()) throw noObject(this.description, path);
      return { path, bytes: found.size, storedAt: found.mtime };
    } catch (cause) {
      if (isSystemError(cause, "ENOENT")) {
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
      if (start !== "") await assertInside(this.#root, this.#place(start.slice(0, -1)));
      return await this.#page(start, options);
    } catch (cause) {
      throw filesystemFailure(cause, `list ${options.prefix || "/"} in`, this.description);
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await assertInside(this.#root, dirname(this.#place(path)));
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

  async #open(path: string): Promise<FileHandle> {
    const place = this.#place(path);
    await assertInside(this.#root, dirname(place)).catch((cause) => {
      if (isSystemError(cause, "ENOENT")) throw objectMissing(this.description, path, cause);
      throw filesystemFailure(cause, `read ${path} from`, this.description);
    });
    // Without waiting: the open of a named pipe would wait for a writer, and no signal ends that.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(place, flags).catch((cause) => {
      if (isSystemError(cause, "ENOENT")) throw objectMissing(this.description, path, cause);
      throw objectFailure(cause, path, this.description);
    });
    if ((await file.stat()).isFile()) return file;
    await file.close();
    throw noObject(this.description, path);
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
      if (!entry.isDirectory()) {
        if (entry.isSymbolicLink() && leadsTo(`${path}/`, prefix))
          await assertNoFolder(this.#root, join(this.#root, path));
        // Also a link or a pipe: whoever reads it is told, and nobody takes the object for absent.
        found.push(path);
      } else if (folded) found.push(`${path}/`);
      else if (leadsTo(`${path}/`, prefix))
        for (const below of await this.#pathsBelow(`${path}/`, prefix, folded)) found.push(below);
    }
    return found;
  }

  /**
   * Looks again while something has vanished that was just listed: of an object that was stored in place of another
   * since, neither would be on the page, which is taken for a proof that both are absent.
   */
  async #page(folder: string, options: ListOptions): Promise<ListPage> {
    const seen = new Map<string, StoredObject | undefined>();
    for (;;) {
      const all = await this.#pathsBelow(folder, options.prefix, options.folded ?? false);
      const { paths, folders, next } = pageOf(all, options);
      const fresh = paths.filter((path) => seen.get(path) === undefined);
      for (let at = 0; at < fresh.length; at += LOOKS_AT_ONCE)
        await Promise.all(
          fresh.slice(at, at + LOOKS_AT_ONCE).map(async (path) => {
            seen.set(path, await this.#known(path));
          }),
        );
      if (fresh.some((path) => seen.get(path) === undefined)) continue;
      const objects = paths.map((path) => seen.get(path)).filter((object) => object !== undefined);
      return { objects, folders, next };
    }
  }

  /** Undefined when it was removed since it was listed. */
  async #known(path: string): Promise<StoredObject | undefined> {
    try {
      const { size, mtime } = await lstat(join(this.#root, path));
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
      if (STAYS.some((code) => isSystemError(cause, code))) return;
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
    if (isSystemError(cause, "ENOENT")) return [];
    throw cause;
  }
}
