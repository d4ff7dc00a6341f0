import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database, { type Database as Connection } from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";
import { serverError } from "../src/target/target-error.ts";

function opened(options: Database.Options = {}, path = join(folder(), "app.db")): Connection {
  const db = new Database(path, options);
  onTestFinished(() => void db.close());
  return db;
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "lifeboat-source-error-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function failureOf(db: Connection, sql: string): unknown {
  try {
    db.exec(sql);
  } catch (cause) {
    return serverError(cause);
  }
  throw new Error("it did not fail");
}

it("a lock that another process does not let go of is told as that, and no defect", () => {
  const product = opened();
  product.exec("CREATE TABLE t(a); BEGIN IMMEDIATE");
  const own = opened({ timeout: 0 }, product.name);
  expect(failureOf(own, "BEGIN IMMEDIATE")).toMatchObject({
    code: "SQLITE_BUSY",
    remedy: expect.stringContaining("transaction that does not end"),
  });
});

it("a disk without room, and a file that may only be read, too", () => {
  const db = opened();
  db.exec("CREATE TABLE t(a); PRAGMA max_page_count = 2");
  expect(failureOf(db, "INSERT INTO t VALUES (zeroblob(1000000))")).toMatchObject({
    code: "SQLITE_FULL",
  });
  const reader = opened({ readonly: true }, db.name);
  expect(failureOf(reader, "DELETE FROM t")).toMatchObject({ code: "SQLITE_NOT_WRITABLE" });
});

it("a statement that is wrong stays a defect of ours", () => {
  expect(failureOf(opened(), "SELECT nothing")).toBeInstanceOf(Database.SqliteError);
});
