import { existsSync } from "node:fs";
import { copyFile, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { makeLedger } from "../../../test/support/sqlite.ts";
import { holderOf, walApp } from "./wal-app.ts";

/** A database that is held, and another file to be put in its place. */
async function heldBesideAnother() {
  const { path, app, commit } = await walApp();
  const other = join(path, "..", "other.db");
  makeLedger(other);
  const holder = holderOf(path);
  holder.takeHold();
  return { path, app, commit, other, holder };
}

test("the WAL of a file that was replaced is copied back and taken away with its index", async () => {
  const { path, app, other, holder } = await heldBesideAnother();
  app.close();
  await rename(other, path);
  holder.close();
  expect(holder.oldWal).toBe("removed");
  for (const companion of ["-wal", "-shm"]) expect(existsSync(`${path}${companion}`)).toBe(false);
});

test("a WAL that came with the file that was put in a database's place stays", async () => {
  const { path, app, other, holder } = await heldBesideAnother();
  app.close();
  const next = new Database(other);
  next.exec("UPDATE counter SET v = 99");
  // As a process leaves it that was killed.
  const left = `${other}.left`;
  for (const companion of ["", "-wal"])
    await copyFile(`${other}${companion}`, `${left}${companion}`);
  next.close();
  await rename(`${left}-wal`, `${path}-wal`);
  await rename(left, path);
  const wal = await readFile(`${path}-wal`);
  holder.close();
  expect(holder.oldWal).toBe("none");
  expect(await readFile(`${path}-wal`)).toEqual(wal);
});

test("a WAL that cannot be copied back, for an old reader or a writer, is left beside the file that was put in the database's place", async () => {
  const beside = await heldBesideAnother();
  const reader = new Database(beside.path);
  onTestFinished(() => {
    reader.close();
  });
  reader.exec("BEGIN; SELECT * FROM counter");
  beside.commit();
  await rename(beside.other, beside.path);
  beside.holder.close();
  expect(beside.holder.oldWal).toBe("left");
  expect(existsSync(`${beside.path}-wal`)).toBe(true);

  const { path, app, other, holder } = await heldBesideAnother();
  app.exec("BEGIN IMMEDIATE");
  await rename(other, path);
  holder.close();
  expect(holder.oldWal).toBe("left");
  expect(existsSync(`${path}-wal`)).toBe(true);
});
