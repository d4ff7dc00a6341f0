import { closeSync, existsSync, fdatasyncSync, openSync, statSync } from "node:fs";
import { type Database as Connection, SqliteError } from "better-sqlite3";
import { type OpenOptions, openSqlite } from "./sqlite/open-sqlite.ts";

/** A product that writes all the time lets go of the lock between two commits; ours wait their turn. */
const BUSY_TIMEOUT_MS = 10_000;

const OPENING: OpenOptions = {
  busyMs: BUSY_TIMEOUT_MS,
  remedies: {
    missing: "set sqlite.path in the configuration to the database's file",
    unreadable:
      "check that it is a SQLite database, that this account may write it, and that no other process holds it exclusively",
  },
};

/**
 * The product's SQLite database while the product writes to it. Reads are short transactions, so that its WAL can be
 * checkpointed; the only writes are to what Lifeboat made in it.
 */
export class LiveSource {
  readonly db: Connection;
  readonly path: string;
  readonly #file: string | null;

  private constructor(db: Connection, path: string) {
    this.db = db;
    this.path = path;
    this.#file = fileAt(path);
  }

  /** Whether the path still names the file that was opened: what was put in its place is none of this connection's. */
  get isInPlace(): boolean {
    return fileAt(this.path) === this.#file;
  }

  /** @throws LifeboatError `SQLITE_NOT_FOUND` (usage), `SQLITE_UNREADABLE` */
  static open(path: string): LiveSource {
    return openSqlite(path, OPENING, (db) => {
      // What we commit tells the product that its writes are refused or taken: it must last.
      db.pragma("synchronous = FULL");
      // When its WAL is checkpointed is the product's own choice, or that of a watch.
      db.pragma("wal_autocheckpoint = 0");
      db.pragma("schema_version", { simple: true });
      return new LiveSource(db, path);
    });
  }

  /** Reads in one snapshot. It must be short: the WAL can't be reset meanwhile. What it puts into temporary tables stays, unless it fails. */
  async snapshot<Result>(read: () => Promise<Result>): Promise<Result> {
    this.db.exec("BEGIN");
    try {
      const result = await read();
      if (this.db.inTransaction) this.db.exec("COMMIT");
      return result;
    } catch (cause) {
      if (this.db.inTransaction) this.db.exec("ROLLBACK");
      throw cause;
    }
  }

  /** A write of ours: one transaction that takes the write lock at once. */
  write<Result>(work: () => Result): Result {
    return this.db.transaction(work).immediate();
  }

  /**
   * The same, for what may as well be written later: a product that holds the lock for longer than this is not waited for.
   * @returns false where it was held
   */
  writeIfFree(patienceMs: number, work: () => void): boolean {
    this.db.pragma(`busy_timeout = ${patienceMs}`);
    try {
      this.write(work);
      return true;
    } catch (cause) {
      if (cause instanceof SqliteError && cause.code.startsWith("SQLITE_BUSY")) return false;
      throw cause;
    } finally {
      this.db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
  }

  /**
   * Makes all that a snapshot has shown durable. With `synchronous = NORMAL` the product's last commits may be lost
   * with the power (pragma.html, "synchronous"); Postgres must not hold them then.
   */
  makeDurable(): void {
    if (this.db.pragma("journal_mode", { simple: true }) !== "wal") return;
    const wal = `${this.#ownName()}-wal`;
    if (!existsSync(wal)) return;
    // Locks lie on the database file and the -shm, so opening and closing this one lets go of none.
    const fd = openSync(wal, "r+");
    try {
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** The file's path with all links followed, as SQLite knows it: the WAL lies beside that one. */
  #ownName(): string {
    const [main] = this.db.pragma("database_list") as { readonly file: string }[];
    return main?.file ?? this.path;
  }

  close(): void {
    this.db.close();
  }
}

function fileAt(path: string): string | null {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found ? `${found.dev} ${found.ino}` : null;
}
