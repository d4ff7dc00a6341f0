import { dirname } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import Database from "better-sqlite3";

/**
 * What SQLite or the system threw about a database, as an error that says what to do. Anything else
 * is given back as it is.
 */
export function databaseFailure(path: string, thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof LifeboatError) return thrown;
  const { code: reason } = thrown as { code?: unknown };
  const { message } = thrown;
  const said = message.startsWith(`${reason}:`) ? message : `${reason}: ${message}`;
  const other = thrown instanceof Database.SqliteError ? OTHER_FAILURE : undefined;
  const known = FAILURES.find(([pattern]) => pattern.test(said)) ?? other;
  if (!known) return thrown;
  const [, code, what, remedy] = known;
  return new LifeboatError({
    code,
    message: `${path} ${what} (${said})`,
    remedy: typeof remedy === "string" ? remedy : remedy(path),
    details: { path, reason },
    cause: thrown,
  });
}

const OTHER_FAILURE = [
  null,
  "DATABASE_FAILED",
  "cannot be used",
  "try it with the sqlite3 program, which will say the same with more words around it",
] as const;

/** What not even root may do is forbidden by an attribute, and what others may not do perhaps as well. */
export function whereForbidden(path: string): string {
  const words = [path, dirname(path)].map(shellWord).join(" ");
  return `look for the attributes i and a, which keep even root from it: lsattr -d ${words} (chattr -i and -a take them away); where there are none, run Lifeboat as the owner of the database and of its folder`;
}

type Remedy = string | ((path: string) => string);
const FAILURES: readonly (readonly [RegExp, string, string, Remedy])[] = [
  [
    /^SQLITE_READONLY_ROLLBACK/,
    "HOT_JOURNAL",
    "has a hot journal that cannot be rolled back without the right to write",
    "run Lifeboat as the database's owner, or let the app open it once",
  ],
  [
    /^SQLITE_(BUSY|LOCKED)/,
    "DATABASE_LOCKED",
    "is locked by another process",
    "wait for its transaction to end; an app with locking_mode = EXCLUSIVE must be stopped first",
  ],
  [
    /^SQLITE_NOTADB|unsupported file format/,
    "DATABASE_ENCRYPTED",
    "cannot be read: its pages are encrypted, or it is damaged",
    "encrypted databases cannot be backed up by Lifeboat; if it is not encrypted, restore a backup",
  ],
  [
    /^SQLITE_CORRUPT/,
    "DATABASE_CORRUPT",
    "is damaged",
    "restore a backup beside it and compare (lifeboat restore --to DIR)",
  ],
  [
    /^(SQLITE_(READONLY|PERM|AUTH|CANTOPEN)|EACCES)/,
    "PERMISSION_DENIED",
    "cannot be opened or written by this user",
    "run Lifeboat as the owner of the database and of its folder, or as root",
  ],
  [/^EPERM/, "PERMISSION_DENIED", "cannot be opened or written", whereForbidden],
  [
    /^EROFS/,
    "PERMISSION_DENIED",
    "lies on a file system that is read-only",
    "mount it writable, or name another place",
  ],
  [
    /^(SQLITE_FULL|ENOSPC|EDQUOT)/,
    "NO_SPACE",
    "has no space left on its file system",
    "free some space and run it again",
  ],
  [
    /^(SQLITE_IOERR|EIO)/,
    "DATABASE_IO",
    "cannot be read or written",
    "look at the disk and its file system",
  ],
];
