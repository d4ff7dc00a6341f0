import { LifeboatError } from "@lifeboat/core";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { databaseFailure } from "../src/failures.ts";

test.each([
  ["SQLITE_BUSY_SNAPSHOT", "DATABASE_LOCKED"],
  ["SQLITE_READONLY_ROLLBACK", "HOT_JOURNAL"],
  ["SQLITE_READONLY", "PERMISSION_DENIED"],
  ["SQLITE_CORRUPT", "DATABASE_CORRUPT"],
  ["SQLITE_NOTADB", "DATABASE_ENCRYPTED"],
  ["SQLITE_FULL", "NO_SPACE"],
  ["SQLITE_IOERR_READ", "DATABASE_IO"],
  ["SQLITE_MISUSE", "DATABASE_FAILED"],
])("%s becomes %s, with path, cause and remedy", (code, expected) => {
  const cause = new Database.SqliteError("the words of SQLite", code);
  const failure = databaseFailure("/srv/app.db", cause) as LifeboatError;
  expect(failure).toBeInstanceOf(LifeboatError);
  expect(failure).toMatchObject({ code: expected, kind: "failed", cause });
  expect(failure.message).toContain("/srv/app.db");
  expect(failure.message).toContain("the words of SQLite");
  expect(failure.remedy).not.toBe("");
});

test("the system's errors get words, defects and our own errors stay what they are", () => {
  const system = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  expect(databaseFailure("/srv/app.db", system)).toMatchObject({ code: "NO_SPACE" });
  const forbidden = Object.assign(new Error("operation not permitted"), { code: "EPERM" });
  // Also to root, for whom "as root" is no remedy.
  expect(databaseFailure("/srv/the app.db", forbidden)).toMatchObject({
    code: "PERMISSION_DENIED",
    remedy: expect.stringContaining("lsattr -d '/srv/the app.db' /srv "),
  });
  const defect = new TypeError("undefined is not a function");
  expect(databaseFailure("/srv/app.db", defect)).toBe(defect);
  const own = new LifeboatError({ code: "WAL_GREW", message: "m", remedy: "r" });
  expect(databaseFailure("/srv/app.db", own)).toBe(own);
});
