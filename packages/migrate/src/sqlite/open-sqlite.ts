import { existsSync } from "node:fs";
import { LifeboatError, reasonOf } from "@lifeboat/core";
import Database, { type Database as Connection, SqliteError } from "better-sqlite3";
import { sourceError } from "../source-error.ts";
import { defineFunctions } from "./define-functions.ts";

export interface OpenOptions {
  readonly readonly?: boolean;
  /** How long others may hold its lock, in milliseconds. */
  readonly busyMs: number;
  /** What helps where it is missing, and where it can't be opened. */
  readonly remedies: { readonly missing: string; readonly unreadable: string };
}

/**
 * Opens a SQLite database that is there, with integers as bigints and with our functions.
 * @param use what is made of the connection, which is closed where that fails
 * @throws LifeboatError `SQLITE_NOT_FOUND` (usage), `SQLITE_BUSY`, `SQLITE_UNREADABLE`, and what `use` throws as one
 */
export function openSqlite<Made>(
  path: string,
  { readonly = false, busyMs, remedies }: OpenOptions,
  use: (db: Connection) => Made,
): Made {
  if (!existsSync(path))
    throw new LifeboatError({
      code: "SQLITE_NOT_FOUND",
      kind: "usage",
      message: `there is no SQLite database at ${path}`,
      remedy: remedies.missing,
      details: { path },
    });
  let db: Connection | undefined;
  try {
    db = new Database(path, { readonly, timeout: busyMs });
    db.defaultSafeIntegers(true);
    defineFunctions(db);
    return use(db);
  } catch (cause) {
    db?.close();
    if (cause instanceof LifeboatError) throw cause;
    // Whoever holds the lock, such as a sync at its work, says nothing of the file.
    if (cause instanceof SqliteError && cause.code.startsWith("SQLITE_BUSY"))
      throw sourceError(cause);
    throw new LifeboatError({
      code: "SQLITE_UNREADABLE",
      message: `the SQLite database ${path} can't be ${readonly ? "read" : "opened"}: ${reasonOf(cause)}`,
      remedy: remedies.unreadable,
      details: { path },
      cause,
    });
  }
}
