import { constants, type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isSystemError, WriteBack } from "@lifeboat/core";
import type { Header } from "tar-stream";
import type { Account } from "../files/account.ts";
import { syncDirectories } from "../files/durable.ts";
import { unsafe } from "./archive-path.ts";
import { type EntryRules, placeOfEntry } from "./entry-rules.ts";
import { FileBatch } from "./file-batch.ts";
import { type Entry, readArchive } from "./read-archive.ts";

/** New, and never through a link that somebody put there. */
const NEW_FILE =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);

/** A cluster has a thousand such files, each longer under way than written. */
const SMALL_BYTES = 256 << 10;

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
  readonly #rules: EntryRules;
  /** Those that it made, or is making. */
  readonly #directories = new Map<string, Promise<void>>([["", Promise.resolve()]]);
  #groupReads = false;

  /** @param into an empty directory */
  constructor({ into, account, ...rules }: EntryRules & { into: string; account: Account }) {
    this.#into = into;
    this.#account = account;
    this.#rules = rules;
  }

  /**
   * Unpacks one archive; its files are durable when this resolves. Several may be under way at once.
   * @param object what to call it in messages
   * @throws LifeboatError `ARCHIVE_UNSAFE`, `ARCHIVE_INVALID`; whatever `content` throws
   */
  async add(content: AsyncIterable<Uint8Array>, object: string): Promise<void> {
    const batch = new FileBatch();
    try {
      await readArchive(content, object, {
        take: (entry) => this.#take(entry, object, batch),
        end: () => batch.sync(),
      });
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

  async #take(entry: Entry, object: string, batch: FileBatch): Promise<void> {
    const { header } = entry;
    const { path, kind } = placeOfEntry(header, object, this.#rules);
    if (kind === "directory") await this.#makeDirectory(path, header, object);
    else if (kind === "file") await this.#makeFile(path, entry, { object, batch });
  }

  async #makeFile(
    path: string,
    entry: Entry,
    { object, batch }: { readonly object: string; readonly batch: FileBatch },
  ): Promise<void> {
    if (this.#rules.passOver?.has(path)) return;
    await this.#makeParents(path, object);
    const mode = entry.header.mode & 0o040 ? 0o640 : 0o600;
    const create = () =>
      open(join(this.#into, path), NEW_FILE, mode).catch((cause: unknown) => {
        throw collision(cause, object, path);
      });
    const { size = 0 } = entry.header;
    if (size <= SMALL_BYTES) {
      const content = await contentOf(entry);
      await batch.begin(async () => {
        const file = await create();
        try {
          await file.writeFile(content);
          await this.#give(file, mode);
          return file;
        } catch (cause) {
          await file.close();
          throw cause;
        }
      }, size);
    } else {
      const file = await create();
      batch.add(file, size);
      await write(file, entry);
      await this.#give(file, mode);
    }
    await batch.flushIfFull();
  }

  async #give(file: FileHandle, mode: number): Promise<void> {
    // Our umask may have taken the group's right away.
    if (mode === 0o640) await file.chmod(mode);
    if (this.#account.foreign) await file.chown(this.#account.uid, this.#account.gid);
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

/** In memory of its own: the archive's pieces are not good for so long. */
async function contentOf(entry: Entry): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of entry) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** While one piece is written, the next one is unpacked, digested and cut out of the archive. */
async function write(file: FileHandle, content: AsyncIterable<Uint8Array>): Promise<void> {
  const writeBack = new WriteBack(file);
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const piece of content) {
      await writing;
      const { length } = piece;
      writing = file.writeFile(piece).then(() => writeBack.wrote(length));
      // It is awaited before the next one; until then a failure is not an unhandled one.
      writing.catch(() => {});
    }
    await writing;
  } finally {
    // Nobody may write to a handle that is closed and perhaps another file's by then.
    await writing.catch(() => {});
  }
  await writeBack.settle();
}

/** The name is taken: by an entry before it, or by something that appeared while we worked. */
function collision(cause: unknown, object: string, path: string): unknown {
  return isSystemError(cause, "EEXIST") || isSystemError(cause, "ELOOP")
    ? unsafe(object, path, "is there already")
    : cause;
}
