import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { canMount, SmallDisk } from "../support/small-disk.ts";
import { makeLedger, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { WatchInProcess } from "../support/watch-in-process.ts";

describe.runIf(await canMount())("a disk on which the database cannot grow", () => {
  /** A product whose last commits lie in its WAL, and there is no room to copy them back. */
  async function fullDisk(limits: SqliteApp["limits"] = {}) {
    const disk = await SmallDisk.mount(8);
    const path = join(disk.path, "app.db");
    makeLedger(path);
    const product = new Database(path);
    onTestFinished(async () => {
      product.close();
      await disk[Symbol.asyncDispose]();
    });
    product.pragma("wal_autocheckpoint = 0");
    const app = new SqliteApp(await testFolder(), path, limits);
    const grow = (bytes: number) =>
      product.prepare("INSERT INTO blobs VALUES (randomblob(?))").run(bytes);
    product.exec("CREATE TABLE blobs (b)");
    return { disk, app, grow };
  }

  const blobsIn = (path: string) => {
    const copy = new Database(path, { readonly: true });
    const found = copy.prepare("SELECT count(*) FROM blobs").pluck().get();
    copy.close();
    return found;
  };

  test("is backed up all the same, through the backup API", async () => {
    const { disk, app, grow } = await fullDisk({ pinPatienceMs: 50 });
    // The others lie in memory, where no copy is made.
    const temporary = await mkdtemp("/var/tmp/lifeboat-full-");
    vi.stubEnv("TMPDIR", temporary);
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      await rm(temporary, { recursive: true });
    });
    grow(1 << 20);
    disk.fill();
    const { findings } = await app.backup();
    expect(findings).toMatchObject([
      { id: "sqlite-old-reader", summary: expect.stringContaining("a disk without room") },
    ]);
    expect(blobsIn((await app.restore(join(app.folder, "restored"))).path)).toBe(1);
  });

  test("ends no watch: what is committed is shipped, and the WAL is copied back once there is room", async () => {
    const { disk, app, grow } = await fullDisk();
    const storage = filesystemStorage({ path: join(app.folder, "repository") });
    const watch = await WatchInProcess.start({
      ...{ folder: app.folder, storage, databases: [{ name: "app", path: app.path }] },
      limits: { checkpointBytes: 2 << 20, segmentMs: 1 },
    });
    grow(1 << 20);
    disk.fill((1 << 20) + (1 << 18));
    grow(1 << 20);
    const facts = () => watch.facts();
    // It was tried, and more than once.
    await expect.poll(async () => (await facts())?.gates.count).toBeGreaterThan(3);
    await expect.poll(facts).toMatchObject({ unshippedBytes: 0, state: "shipping" });
    expect((await facts())?.backlogBytes).toBeGreaterThan(2 << 20);
    disk.makeRoom();
    grow(1000);
    await expect.poll(async () => (await facts())?.backlogBytes).toBe(0);
    watch.stop();
    await watch.ended;
    expect(await facts()).toMatchObject({ holes: [] });
    expect(blobsIn((await app.restore(join(app.folder, "restored"))).path)).toBe(3);
  });
});
