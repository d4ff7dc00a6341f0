import {
  constants,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { isSystemError } from "@lifeboat/core";
import type { Account } from "../files/account.ts";
import { syncDirectories } from "../files/durable.ts";
import { unsafe } from "../unpack/archive-path.ts";
import { removeTree } from "./remove-tree.ts";
import { StandingFile } from "./standing-file.ts";

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const STANDING = constants.O_RDWR | NO_FOLLOW | constants.O_NONBLOCK;
const NEW = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW;

/** What opening tells of a thing that is no regular file of ours: a link, a folder, a socket, somebody else's. */
const UNFIT = new Set(["ELOOP", "EMLINK", "EISDIR", "ENXIO", "EACCES", "EPERM", "ENODEV"]);

/**
 * A directory that is brought to a backup's state, where it stands. What is no regular file or directory,
 * or has a second name somewhere else, is taken out and made anew: nothing is written through a link of
 * either kind.
 */
export class StandingTree {
  readonly #into: string;
  readonly #account: Account;
  readonly #renamed: ReadonlyMap<string, string>;
  readonly #directories = new Map<string, Promise<void>>([["", Promise.resolve()]]);
  readonly #files = new Set<string>();
  /** Files and links that were taken out. */
  removed = 0;
  readonly #links: string[] = [];
  groupReads = false;

  /** @param renamed files that lie under another name while the directory is half-done */
  constructor(init: { into: string; account: Account; renamed?: ReadonlyMap<string, string> }) {
    this.#into = init.into;
    this.#account = init.account;
    this.#renamed = init.renamed ?? new Map();
  }

  /** Links that were taken out, each with what it led to: that still lies there. */
  get removedLinks(): readonly string[] {
    return this.#links;
  }

  /** A directory and those above it; one that is none is taken out first. */
  directory(path: string, mode = 0): Promise<void> {
    const groupReads = (mode & 0o050) === 0o050;
    this.groupReads ||= groupReads;
    const known = this.#directories.get(path);
    if (known) return known;
    const made = this.#makeDirectory(path, groupReads);
    this.#directories.set(path, made);
    // It is awaited by whoever comes later; until then a failure is not an unhandled one.
    made.catch(() => {});
    return made;
  }

  /**
   * A file, as long as it shall be at most. Close it.
   * @throws LifeboatError `ARCHIVE_UNSAFE` when the archive had it before
   */
  async file(
    path: string,
    { mode, bytes, object }: { mode: number; bytes: number; object: string },
  ): Promise<StandingFile> {
    if (this.#files.has(path)) throw unsafe(object, path, "is there already");
    this.#files.add(path);
    const parent = dirname(path);
    await this.directory(parent === "." ? "" : parent);
    const wanted = { bytes, mode: mode & 0o040 ? 0o640 : 0o600, account: this.#account };
    const handle = await this.#open(this.placeOf(path));
    try {
      return await StandingFile.take(handle, wanted);
    } catch (cause) {
      await handle.close();
      throw cause;
    }
  }

  /** Whether the archives named this file. */
  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** Where a file of the archive lies while the directory is half-done, from the directory. */
  placeOf(path: string): string {
    return this.#renamed.get(path) ?? path;
  }

  /** Gives the outermost directory its mode, and makes all names durable. */
  async finish(): Promise<void> {
    const root = await open(this.#into, constants.O_RDONLY | constants.O_DIRECTORY);
    await root.chmod(this.groupReads ? 0o750 : 0o700).finally(() => root.close());
    await syncDirectories([...this.#directories.keys()].map((path) => join(this.#into, path)));
  }

  /**
   * Takes out all that the archives did not name.
   * @param keeps what stays although they did not: its path from the directory
   */
  async sweep(keeps: (path: string) => boolean): Promise<void> {
    for (const folder of [...this.#directories.keys()]) {
      for (const entry of await readdir(join(this.#into, folder))) {
        const path = folder === "" ? entry : `${folder}/${entry}`;
        if (this.#isNamed(path) || this.#directories.has(path) || keeps(path)) continue;
        await this.#remove(path);
      }
    }
  }

  /** Whether a file of the archives lies there. */
  #isNamed(place: string): boolean {
    for (const [path, aside] of this.#renamed)
      if (place === path || place === aside) return place === aside && this.#files.has(path);
    return this.#files.has(place);
  }

  async #open(path: string): Promise<FileHandle> {
    const place = join(this.#into, path);
    const standing = await open(place, STANDING).catch((cause: unknown) => {
      if (isSystemError(cause, "ENOENT")) return undefined;
      if (UNFIT.has((cause as NodeJS.ErrnoException).code ?? "")) return "unfit" as const;
      throw cause;
    });
    if (standing === undefined) return open(place, NEW, 0o600);
    if (standing !== "unfit") {
      const found = await standing.stat();
      // A second name may lie in another's directory, where what we write would appear as well.
      const isOurs = this.#account.foreign || found.uid === this.#account.uid;
      if (found.isFile() && found.nlink === 1 && isOurs) return standing;
      await standing.close();
    }
    await this.#remove(path);
    return open(place, NEW, 0o600);
  }

  async #makeDirectory(path: string, groupReads: boolean): Promise<void> {
    const parent = dirname(path);
    await this.directory(parent === "." ? "" : parent);
    const place = join(this.#into, path);
    const found = await lstat(place).catch(() => undefined);
    if (found && !found.isDirectory()) await this.#remove(path);
    if (!found?.isDirectory()) await mkdir(place, { mode: 0o700 });
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | NO_FOLLOW;
    const directory = await open(place, flags);
    try {
      await directory.chmod(groupReads ? 0o750 : 0o700);
      if (this.#account.foreign) await directory.chown(this.#account.uid, this.#account.gid);
    } finally {
      await directory.close();
    }
  }

  async #remove(path: string): Promise<void> {
    const place = join(this.#into, path);
    const target = await readlink(place).catch(() => undefined);
    if (target !== undefined) this.#links.push(`${path} → ${target}`);
    this.removed += await removeTree(place);
  }
}
