import { copyFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { testFolder } from "../../../test/support/sqlite.ts";
import { placeNow } from "../src/wal/place-now.ts";
import { LiveWal } from "../src/watch/live-wal.ts";

const NOWHERE = { salt1: 0, salt2: 0, frames: 0, checksum1: 0, checksum2: 0 };

test("a place is that of a reader who has read as many frames, also of none, and none where the WAL ends before it", async () => {
  const folder = await testFolder();
  const path = join(folder, "app.db");
  const database = new Database(path);
  const wal = new LiveWal(path, 4096);
  onTestFinished(() => {
    wal.close();
    database.close();
  });
  expect(placeNow(path, 0, 4096)).toEqual(NOWHERE);
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
  const header = wal.header();
  if (!header) throw new Error("there is no WAL");
  wal.begin(header);
  expect(placeNow(path, 0, 4096)).toEqual(wal.place);
  const [{ log } = { log: 0 }] = database.pragma("wal_checkpoint(NOOP)") as { log: number }[];
  wal.advance(log);
  expect(wal.place).toMatchObject({ frames: log });
  expect(placeNow(path, log, 4096)).toEqual(wal.place);
  const cut = join(folder, "cut.db");
  await copyFile(`${path}-wal`, `${cut}-wal`);
  await truncate(`${cut}-wal`, 32 + (log - 1) * (24 + 4096) + 10);
  expect(placeNow(cut, log, 4096)).toEqual(NOWHERE);
});
