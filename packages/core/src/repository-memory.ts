import { createHash, randomBytes } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError, LifeboatError, reasonOf } from "./errors.ts";
import { makeDirectories } from "./make-directories.ts";
import { shellWord } from "./shell-word.ts";
import { syncDirectory } from "./sync-directory.ts";

/** What is remembered of a repository that was seen. */
export interface RememberedRepository {
  readonly storage: string;
  readonly app: string;
  readonly id: string;
}

/**
 * Remembers, on this machine and outside every repository, which repositories were seen. Only so can
 * an empty directory that wants to become a repository be told from one whose disk is not mounted.
 * It holds no secret. One small file a repository; losing it loses only that protection.
 */
export class RepositoryMemory {
  readonly #directory: string;

  /** @param directory made when it is first needed */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The file that remembers; remove it to let the repository be made anew. */
  fileOf(storage: string, app: string): string {
    const key = createHash("sha256").update(`${storage}\0${app}`).digest("hex").slice(0, 32);
    return join(this.#directory, `repository-${key}.json`);
  }

  async recall(storage: string, app: string): Promise<RememberedRepository | undefined> {
    const file = this.fileOf(storage, app);
    try {
      return JSON.parse(await readFile(file, "utf8"));
    } catch (cause) {
      if (isSystemError(cause, "ENOENT") || isSystemError(cause, "ENOTDIR")) return undefined;
      throw new LifeboatError({
        code: "STATE_UNREADABLE",
        message: `cannot read ${file}: ${reasonOf(cause)}`,
        remedy:
          cause instanceof SyntaxError
            ? `it is damaged: see that the repository is where it should be (a disk that is not mounted looks empty), then remove it: rm ${shellWord(file)}`
            : "give this account the right to it, or set LIFEBOAT_STATE_DIRECTORY to a directory of its own",
        cause,
      });
    }
  }

  /** The repository was seen by now, so that a note that is damaged has nothing more to say. */
  async #recallWhole({
    storage,
    app,
  }: RememberedRepository): Promise<RememberedRepository | undefined> {
    try {
      return await this.recall(storage, app);
    } catch (thrown) {
      if (thrown instanceof LifeboatError && thrown.cause instanceof SyntaxError) return undefined;
      throw thrown;
    }
  }

  async remember(repository: RememberedRepository): Promise<void> {
    const file = this.fileOf(repository.storage, repository.app);
    if ((await this.#recallWhole(repository))?.id === repository.id) return;
    const growing = `${file}.${randomBytes(6).toString("hex")}`;
    try {
      await makeDirectories(this.#directory, 0o700);
      await writeDurably(growing, `${JSON.stringify(repository)}\n`);
      await rename(growing, file);
      await syncDirectory(this.#directory);
    } catch (cause) {
      throw new LifeboatError({
        code: "STATE_UNWRITABLE",
        message: `cannot write ${file}: ${reasonOf(cause)}`,
        remedy:
          "give this account the right to it, or set LIFEBOAT_STATE_DIRECTORY to a directory of its own",
        cause,
      });
    }
  }
}

/** Leaves no half of it, such as on a full disk. */
async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (cause) {
    await rm(file);
    throw cause;
  } finally {
    await handle.close();
  }
}
