import { LifeboatError } from "@lifeboat/core";
import { isSqliteError } from "../driver.ts";
import { type Examined, examine } from "../examine/examine.ts";
import { RawReader } from "../raw/raw-reader.ts";
import { fileAt } from "./file-at.ts";

/** Why nothing can be shipped of a file for now, and what somebody should do. */
export interface Waiting {
  readonly reason: string;
  readonly remedy: string;
}

/** Whoever puts another file in a database's place moves the old one away first, and may copy the new one slowly. */
const BEING_REPLACED = ["DATABASE_MISSING", "DATABASE_EMPTY"];

/**
 * Whether a file could not be opened since it was removed or replaced after it was looked at. The next look tells what is there then: who puts
 * another one in a database's place does not end its watch.
 */
export function isReplacedMeanwhile({ path, stat }: Examined, thrown: unknown): boolean {
  return isSqliteError(thrown, "SQLITE_CANTOPEN") && fileAt(path) !== `${stat.dev}:${stat.ino}`;
}

/**
 * The file whose log a watch ships, looked at as plain bytes. That it is missing ends a watch that has only begun: its
 * configuration names no database. One that was shipped and is gone is waited for: other databases of the same watch are
 * shipped on, and its own from the moment on at which a file is there again.
 */
export class SourceFile {
  readonly #path: string;
  /** There while the file is looked at, not while its log is shipped: a process costs 45 MB. */
  #reader: RawReader | undefined;
  #wasThere = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws LifeboatError as `examine` does */
  async look(): Promise<Examined | Waiting> {
    this.#reader ??= new RawReader();
    try {
      const examined = await examine(this.#reader, this.#path);
      this.#wasThere = true;
      if (examined.header.wal) return examined;
      return {
        reason: "the database is not in WAL mode",
        remedy: "set PRAGMA journal_mode = WAL; the watch goes on by itself",
      };
    } catch (thrown) {
      const known = thrown instanceof LifeboatError && BEING_REPLACED.includes(thrown.code);
      if (!known || !this.#wasThere) throw thrown;
      return {
        reason: thrown.message,
        remedy: "put the database's file back (lifeboat restore); the watch goes on by itself",
      };
    }
  }

  /** Ends the process that reads it; another look starts one. */
  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    await reader?.close();
  }
}
