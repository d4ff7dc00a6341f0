import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { open, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DatabaseFolder } from "./database-folder.ts";
import type { WatchNote } from "./engine.ts";
import { isSystemError, LifeboatError, reasonOf } from "./errors.ts";
import { makeDirectories } from "./make-directories.ts";
import { ownProcessMark, processOfMarkIsGone } from "./process-mark.ts";

/**
 * What the watches on this machine last said of themselves, one small file a database, outside every repository: so
 * `status` knows of them, and an idle watch costs the storage nothing. Losing a file loses only what it says.
 */
export class WatchNotes {
  readonly #directory: string;

  /** @param directory made when it is first needed */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Replaces the note before in one step. */
  async write(folder: DatabaseFolder, facts: WatchNote["facts"]): Promise<void> {
    const file = this.#fileOf(folder);
    const growing = `${file}.${randomBytes(6).toString("hex")}`;
    const note = { mark: ownProcessMark(), at: new Date().toISOString(), facts };
    try {
      await makeDirectories(this.#directory, 0o700);
      await writeFile(growing, `${JSON.stringify(note)}\n`, { flag: "wx", mode: 0o600 });
      await rename(growing, file);
    } catch (cause) {
      await rm(growing, { force: true });
      throw new LifeboatError({
        code: "STATE_UNWRITABLE",
        message: `cannot write ${file}: ${reasonOf(cause)}`,
        remedy:
          "give this account the right to it, or set LIFEBOAT_STATE_DIRECTORY to a directory of its own",
        cause,
      });
    }
  }

  /** Null where no watch ever ran here, or its note was lost. */
  async read(folder: DatabaseFolder): Promise<WatchNote | null> {
    try {
      const text = await readNote(this.#fileOf(folder));
      return text === undefined ? null : noteOf(text);
    } catch (cause) {
      // Another account's is not for us to read; `status` then knows what the repository says.
      const unread = ["ENOENT", "ENOTDIR", "EACCES", "ELOOP"];
      if (unread.some((code) => isSystemError(cause, code))) return null;
      throw cause;
    }
  }

  #fileOf(folder: DatabaseFolder): string {
    return join(this.#directory, `${watchName(folder)}.json`);
  }
}

/** Tells the watch of one database into one repository from all others, in names of files. */
export function watchName(folder: DatabaseFolder): string {
  const key = createHash("sha256")
    .update(`${folder.storage.description}\0${folder.path}`)
    .digest("hex")
    .slice(0, 32);
  return `watch-${key}`;
}

/** Far above what a watch says of itself. */
const LONGEST_NOTE = 1 << 20;

/** Undefined where a link, a pipe or something far too long lies in its place: no watch writes such a note. */
async function readNote(path: string): Promise<string | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    if (!found.isFile() || found.size > LONGEST_NOTE) return undefined;
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/** A file that a full disk or somebody's editor has damaged says nothing. */
function noteOf(text: string): WatchNote | null {
  try {
    const { mark, at, facts } = JSON.parse(text) as { mark: string } & WatchNote;
    return { alive: !processOfMarkIsGone(mark), at, facts };
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof TypeError) return null;
    throw thrown;
  }
}
