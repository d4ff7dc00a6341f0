import { constants, type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isSystemError, LifeboatError, reasonOf } from "@lifeboat/core";
import { type Extract, extract, type Header } from "tar-stream";
import type { Account } from "./account.ts";
import { archivePath, unsafe } from "./archive-path.ts";
import { syncDirectories } from "./durable.ts";
import { isFaultOfTarget } from "./target-failure.ts";

/** How many files are written before they are made durable together: their flushes overlap. */
const BATCH_FILES = 64;
const BATCH_BYTES = 64 * 2 ** 20;

/** An entry of the archive: what it is, and its bytes. */
type Entry = AsyncIterable<Uint8Array> & { readonly header: Header; resume(): unknown };

/** New, and never through a link that somebody put there. */
const NEW_FILE =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);

/**
 * Unpacks the archives of a backup into one directory: regular files and directories, each once,
 * nothing outside, no link made or followed. What it makes belongs to the account and is closed to
 * others; the group may read where it could in the original (`initdb --allow-group-access`).
 *
 * While it works the directory holds only what it made itself, so a parent that it knows is no link.
 */
export class Unpacker {
  readonly #into: string;
  readonly #account: Account;
  readonly #passOver: ReadonlySet<string>;
  readonly #links: ReadonlySet<string>;
  readonly #only: RegExp;
  /** Those that it made, or is making. */
  readonly #directories = new Map<string, Promise<void>>([["", Promise.resolve()]]);
  #groupReads = false;

  /**
   * @param into an empty directory
   * @param passOver paths whose content is not wanted
   * @param links paths of symbolic links that an archive may name; they are not made
   * @param only what each path has to match; any will do when left out
   */
  constructor(init: {
    into: string;
    account: Account;
    passOver?: ReadonlySet<string>;
    links?: ReadonlySet<string>;
    only?: RegExp;
  }) {
    this.#into = init.into;
    this.#account = init.account;
    this.#passOver = init.passOver ?? new Set();
    this.#links = init.links ?? new Set();
    this.#only = init.only ?? /^/;
  }

  /**
   * Unpacks one archive; its files are durable when this resolves. Several may be under way at once.
   * @param object what to call it in messages
   * @throws LifeboatError `ARCHIVE_UNSAFE`, `ARCHIVE_INVALID`; whatever `content` throws
   */
  async add(content: AsyncIterable<Uint8Array>, object: string): Promise<void> {
    const source: { fault?: unknown } = {};
    const batch = new Batch();
    const tar = extract();
    const feeding = feed(noting(content, source), tar);
    try {
      for await (const entry of tar) await this.#take(entry as Entry, object, batch);
      await batch.sync();
    } catch (cause) {
      tar.destroy();
      await feeding;
      // What the source has to say comes first: a broken archive is only its consequence.
      if (source.fault !== undefined) throw source.fault;
      throw cause instanceof LifeboatError ? cause : invalid(object, cause);
    } finally {
      await batch.close();
    }
  }

  /** Whether the original's group could read it. */
  get groupReads(): boolean {
    return this.#groupReads;
  }

  /** Makes the directories themselves durable, and gives the outermost one its mode. */
  async finish(): Promise<void> {
    const root = await open(this.#into, constants.O_RDONLY);
    await root.chmod(this.#groupReads ? 0o750 : 0o700).finally(() => root.close());
    await syncDirectories([...this.#directories.keys()].map((path) => join(this.#into, path)));
  }

  async #take(entry: Entry, object: string, batch: Batch): Promise<void> {
    const { header } = entry;
    const path = archivePath(header.name, object);
    if (path !== "" && !this.#only.test(path))
      throw unsafe(object, header.name, "does not belong there");
    if (header.type === "directory") await this.#makeDirectory(path, header, object);
    else if (header.type === "file") await this.#makeFile(path, entry, { object, batch });
    else if (header.type !== "symlink" || !this.#links.has(path))
      throw unsafe(object, header.name, `is a ${header.type ?? "thing of unknown type"}`);
    entry.resume();
  }

  async #makeFile(
    path: string,
    entry: Entry,
    { object, batch }: { readonly object: string; readonly batch: Batch },
  ): Promise<void> {
    if (path === "") throw unsafe(object, entry.header.name, "has no name");
    if (this.#passOver.has(path)) return;
    await this.#makeParents(path, object);
    const mode = entry.header.mode & 0o040 ? 0o640 : 0o600;
    const file = await open(join(this.#into, path), NEW_FILE, mode).catch((cause: unknown) => {
      throw collision(cause, object, path);
    });
    batch.add(file, entry.header.size);
    await file.writeFile(entry);
    // Our umask may have taken the group's right away.
    if (mode === 0o640) await file.chmod(mode);
    if (this.#account.foreign) await file.chown(this.#account.uid, this.#account.gid);
    if (batch.isFull) await batch.sync();
  }

  async #makeParents(path: string, object: string): Promise<void> {
    const parent = dirname(path) === "." ? "" : dirname(path);
    await (this.#directories.get(parent) ?? this.#makeDirectory(parent, {}, object));
  }

  #makeDirectory(path: string, header: Partial<Header>, object: string): Promise<void> {
    const groupReads = ((header.mode ?? 0) & 0o050) === 0o050;
    this.#groupReads ||= groupReads;
    const known = this.#directories.get(path);
    if (known) return known;
    const made = this.#newDirectory(path, groupReads, object);
    this.#directories.set(path, made);
    return made;
  }

  async #newDirectory(path: string, groupReads: boolean, object: string): Promise<void> {
    await this.#makeParents(path, object);
    const made = join(this.#into, path);
    await mkdir(made, { mode: 0o700 }).catch((cause: unknown) => {
      throw collision(cause, object, path);
    });
    const directory = await open(made, constants.O_RDONLY);
    try {
      if (groupReads) await directory.chmod(0o750);
      if (this.#account.foreign) await directory.chown(this.#account.uid, this.#account.gid);
    } finally {
      await directory.close();
    }
  }
}

/** Files of one archive that are written and not yet durable. */
class Batch {
  #files: FileHandle[] = [];
  #bytes = 0;

  get isFull(): boolean {
    return this.#files.length >= BATCH_FILES || this.#bytes >= BATCH_BYTES;
  }

  add(file: FileHandle, bytes: number): void {
    this.#files.push(file);
    this.#bytes += bytes;
  }

  async sync(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.sync()));
    await this.close();
  }

  async close(): Promise<void> {
    this.#bytes = 0;
    await Promise.all(this.#files.splice(0).map((file) => file.close()));
  }
}

/** Hands the bytes over as fast as they are taken. Never rejects: what fails, fails in the archive. */
async function feed(content: AsyncIterable<Uint8Array>, tar: Extract): Promise<void> {
  try {
    for await (const chunk of content) {
      if (tar.destroyed) return;
      if (!tar.write(chunk)) await drained(tar);
    }
    tar.end(null);
  } catch (cause) {
    tar.destroy(cause instanceof Error ? cause : new Error(reasonOf(cause)));
  }
}

async function* noting(
  content: AsyncIterable<Uint8Array>,
  source: { fault?: unknown },
): AsyncGenerator<Uint8Array> {
  try {
    yield* content;
  } catch (cause) {
    source.fault = cause;
    throw cause;
  }
}

function drained(tar: Extract): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  tar.once("drain", resolve);
  tar.once("close", resolve);
  return promise.finally(() => {
    tar.off("drain", resolve);
    tar.off("close", resolve);
  });
}

/** The name is taken: by an entry before it, or by something that appeared while we worked. */
function collision(cause: unknown, object: string, path: string): unknown {
  return isSystemError(cause, "EEXIST") || isSystemError(cause, "ELOOP")
    ? unsafe(object, path, "is there already")
    : cause;
}

/** A fault of the target (a full disk, a missing right) is none of the archive's and stays as it is. */
function invalid(object: string, cause: unknown): unknown {
  if (isFaultOfTarget(cause)) return cause;
  return new LifeboatError({
    code: "ARCHIVE_INVALID",
    message: `${object} is no whole tar archive: ${reasonOf(cause)}`,
    remedy: "restore another backup (lifeboat list); lifeboat verify finds all that is damaged",
    details: { object },
    cause,
  });
}
