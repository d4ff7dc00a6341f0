import { LifeboatError, reasonOf } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";

interface Named {
  readonly code: string;
  readonly what: string;
  readonly remedy: string;
}

/** What the world does to a SQLite file, by the primary result code (rescode.html); any other is a defect of ours. */
const NAMES: readonly (readonly [RegExp, Named])[] = [
  [
    /^SQLITE_(BUSY|LOCKED)/,
    {
      code: "SQLITE_BUSY",
      what: "another process held the lock of the SQLite database all the time",
      remedy: "find the transaction that does not end (lsof on the file), then run this again",
    },
  ],
  [
    /^SQLITE_FULL/,
    {
      code: "SQLITE_FULL",
      what: "there is no room for the SQLite database to grow",
      remedy: "free space on its disk, then run this again",
    },
  ],
  [
    /^SQLITE_(READONLY|PERM|AUTH|CANTOPEN)/,
    {
      code: "SQLITE_NOT_WRITABLE",
      what: "the SQLite database can't be written",
      remedy: "run this as an account that may write the file and its folder",
    },
  ],
  [
    /^SQLITE_(IOERR|CORRUPT|NOTADB)/,
    {
      code: "SQLITE_UNREADABLE",
      what: "the SQLite database can't be read",
      remedy: "check its disk, and the file by PRAGMA integrity_check",
    },
  ],
];

/** Gives a name to what keeps a SQLite file from being read or written; anything else comes back as it is. */
export function sourceError(cause: unknown): unknown {
  if (!(cause instanceof SqliteError)) return cause;
  const named = NAMES.find(([codes]) => codes.test(cause.code))?.[1];
  if (!named) return cause;
  const { code, what, remedy } = named;
  return new LifeboatError({
    code,
    message: `${what}: ${reasonOf(cause)}`,
    remedy,
    details: { sqlite: cause.code },
    cause,
  });
}
