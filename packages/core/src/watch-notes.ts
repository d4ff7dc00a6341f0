import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DatabaseFolder } from "./database-folder.ts";
import type { WatchNote } from "./engine.ts";
import { isSystemError, LifeboatError, reasonOf } from "./errors.ts";
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
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
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
    let text: string;
    try {
      text = await readFile(this.#fileOf(folder), "utf8");
    } catch (cause) {
      // Another account's is not for us to read; `status` then knows what the repository says.
      if (["ENOENT", "ENOTDIR", "EACCES"].some((code) => isSystemError(cause, code))) return null;
      throw cause;
    }
    return noteOf(text);
  }

  #fileOf(folder: DatabaseFolder): string {
    const key = createHash("sha256")
      .update(`${folder.storage.description}\0${folder.path}`)
      .digest("hex")
      .slice(0, 32);
    return join(this.#directory, `watch-${key}.json`);
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
