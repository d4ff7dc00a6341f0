import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { WATCH_LIMITS } from "../../packages/sqlite/src/watch/limits.ts";
import { WalHolder } from "../../packages/sqlite/src/watch/wal-holder.ts";
import { expectCleanPrefix, makeLedger, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { WatchProcess } from "../support/sqlite-watch.ts";

async function appOf(shape: Parameters<typeof makeLedger>[1] = {}): Promise<SqliteApp> {
  const folder = await testFolder();
  const path = join(folder, "app.db");
  makeLedger(path, shape);
  return new SqliteApp(folder, path);
}

async function sqlite3(path: string, statement: string): Promise<string> {
  const { stdout } = await execa("sqlite3", ["-cmd", ".timeout 20000", path, statement]);
  return stdout;
}

test("a file that was put in the database's place begins a lineage of its own", async () => {
  const app = await appOf();
  const other = join(app.folder, "other.db");
  makeLedger(other, { rows: 900 });
  const watch = await WatchProcess.start(app);
  const first = (await watch.note())?.facts.lineage;
  for (const beside of ["-wal", "-shm"]) await rm(`${app.path}${beside}`, { force: true });
  await rename(other, app.path);
  await sqlite3(app.path, "CREATE TABLE after_it(x); INSERT INTO after_it VALUES (1)");
  await expect
    .poll(async () => (await watch.note())?.facts.lineage, { timeout: 20_000 })
    .not.toBe(first);
  await watch.isShipping();
  await sqlite3(app.path, "INSERT INTO after_it VALUES (2)");
  await watch.stop();
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(expectCleanPrefix(path)).toBe(900);
  expect(await sqlite3(path, "SELECT count(*) FROM after_it")).toBe("2");
}, 60_000);

test("what was committed over a transaction that was rolled back is read before the WAL may begin anew", async () => {
  const app = await appOf({ rows: 400 });
  const writer = new Database(app.path);
  writer.pragma("wal_autocheckpoint = 0");
  writer.pragma("cache_size = 5");
  writer.exec("CREATE TABLE pages(page)");
  let read = 0;
  const holder = new WalHolder({
    path: app.path,
    pageSize: 4096,
    checkpointFreely: true,
    limits: WATCH_LIMITS,
    found: ({ from, to }) => {
      read += to.frames - from.frames;
    },
    mayBeginAnew: () => true,
  });
  onTestFinished(() => {
    holder.close();
    writer.close();
  });
  holder.takeHold();
  writer.exec("UPDATE counter SET v = v + 1");
  holder.poll();
  // Pages that are each written once: what was read of them stays valid until others lie over it.
  writer.exec("BEGIN IMMEDIATE; INSERT INTO pages SELECT zeroblob(5000) FROM ledger");
  holder.poll();
  writer.exec("ROLLBACK; UPDATE counter SET v = v + 1");
  writer.exec("UPDATE ledger SET payload = randomblob(10) WHERE seq = 3");
  const [{ log } = { log: 0 }] = writer.pragma("wal_checkpoint(NOOP)") as { log: number }[];
  holder.copyBack();
  writer.exec("UPDATE counter SET v = v + 1");
  const before = read;
  holder.poll();
  expect({ before, read }).toEqual({ before: log, read: log + 1 });
});
