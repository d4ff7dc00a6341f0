import { copyFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  Repository,
  RepositoryMemory,
  type WatchNote,
  WatchNotes,
  watch as watchAll,
} from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { holdSocket, ShippedElsewhere } from "../../packages/sqlite/src/watch/hold-elsewhere.ts";
import { WATCH_LIMITS } from "../../packages/sqlite/src/watch/limits.ts";
import { WalHolder } from "../../packages/sqlite/src/watch/wal-holder.ts";
import { faultyStorage } from "../support/faulty-storage.ts";
import { ledgerApp, sqlite3 } from "../support/ledger-app.ts";
import { expectCleanPrefix, type Process, startBystander, startWriter } from "../support/sqlite.ts";
import { restoreByHand, WatchProcess } from "../support/sqlite-watch.ts";
import { WatchInProcess } from "../support/watch-in-process.ts";

test("what was committed over a transaction that was rolled back is read before the WAL may begin anew", async () => {
  const app = await ledgerApp({ rows: 400 });
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

test("a repository that takes nothing costs the app no more of its disk than the cap; then a new lineage begins", async () => {
  const app = await ledgerApp();
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  let hangs = false;
  const { promise: hanging, resolve: goOn } = Promise.withResolvers<void>();
  const faulty = faultyStorage(storage, {
    async create(path, content) {
      // A storage that is away without saying so.
      if (hangs && path.includes("/wal/")) await hanging;
      return storage.create(path, content);
    },
  });
  const memory = new RepositoryMemory(join(app.folder, "memory"));
  const compression = { level: 1, logLevel: 1 };
  const repository = await Repository.open({
    storage: faulty,
    app: "product",
    compression,
    memory,
    mode: "write",
  });
  const cap = 16 << 20;
  const notes = new WatchNotes(join(app.folder, "memory"));
  const stop = new AbortController();
  const engine = sqliteEngine({
    databases: [{ name: "app", path: app.path }],
    watchLimits: { walBytes: cap },
  });
  const watching = watchAll({ repository, engine, notes, signal: stop.signal });
  const facts = async () => (await notes.read(repository.folder("sqlite", "app")))?.facts;
  await expect.poll(async () => (await facts())?.state).toBe("shipping");
  const first = (await facts())?.lineage;
  const writer = await startWriter(app.path, { rate: 150, payload: 20_000 });
  hangs = true;
  await expect.poll(async () => (await facts())?.lineage).not.toBe(first);
  const { size } = await stat(`${app.path}-wal`);
  await writer.stop();
  hangs = false;
  goOn();
  await expect.poll(async () => (await facts())?.state).toBe("shipping");
  const later = await startWriter(app.path, { rate: 100 });
  await later.commits(100);
  await later.stop();
  const acknowledged = await later.acknowledged();
  await expect.poll(async () => (await facts())?.unshippedBytes).toBe(0);
  const holes = (await facts())?.holes;
  stop.abort();
  await watching;
  expect(size).toBeLessThan(cap + (24 << 20));
  expect(holes).toEqual([expect.stringContaining("the repository takes segments too slowly")]);
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(expectCleanPrefix(path)).toBe(acknowledged);
  expect((await app.verify(true)).problems).toEqual([]);
});

test.each([
  ["hangs", true],
  ["refuses what it is given", false],
])(
  "a watch that is told to stop while the repository %s says what it left behind, and the next one ships it",
  async (_, silently) => {
    const app = await ledgerApp();
    const storage = filesystemStorage({ path: join(app.folder, "repository") });
    const { promise: answers, resolve: answer } = Promise.withResolvers<void>();
    let hangs = false;
    // Nothing is answered any more: neither a segment, nor that the lock is given back.
    const answered = async <T>(ask: () => Promise<T>): Promise<T> => {
      if (hangs && silently) await answers;
      return ask();
    };
    const faulty = faultyStorage(storage, {
      async create(path, content) {
        if (hangs && !silently) throw new Error("the disk is full");
        return answered(() => storage.create(path, content));
      },
      stat: (path) => answered(() => storage.stat(path)),
      list: (options) => answered(() => storage.list(options)),
      remove: (path) => answered(() => storage.remove(path)),
    });
    const databases = [{ name: "app", path: app.path }];
    const limits = silently ? { graceMs: 200 } : {};
    const watch = await WatchInProcess.start({ ...app, storage: faulty, databases, limits });
    // Kept open: the last connection that closes would copy the WAL back and remove it.
    const keeper = new Database(app.path);
    keeper.exec("UPDATE ledger SET payload = 'y' WHERE seq = 1");
    await expect
      .poll(async () => (await watch.facts())?.lastSegment)
      .toEqual(expect.stringContaining("0000000001"));
    hangs = true;
    keeper.exec("INSERT INTO ledger VALUES (51, 'x'); UPDATE counter SET v = 51");
    await expect.poll(async () => (await watch.facts())?.unshippedBytes).toBeGreaterThan(0);
    // One that is being tried, and fails, belongs to what is left.
    if (!silently) await expect.poll(async () => (await watch.facts())?.fault).not.toBeNull();
    // Nor does it say by then that nothing was committed since.
    const socket = holdSocket(watch.state, watch.repository.folder("sqlite", "app"));
    const asked = await ShippedElsewhere.find(socket, app.path);
    expect(asked).toBeDefined();
    expect(await asked?.idle()).toBeUndefined();
    asked?.close();
    watch.stop();
    await expect(watch.ended).rejects.toMatchObject({ code: "LOG_LEFT_BEHIND" });
    answer();
    await expect.poll(() => watch.repository.isLocked("watch-sqlite-app")).toBe(false);
    const next = await WatchProcess.start(app);
    // Until then the note is that of the first one, whose process, ours, lives on.
    await expect.poll(async () => (await watch.facts())?.unshippedBytes).toBe(0);
    await next.stop();
    keeper.close();
    const { path } = await app.restore(join(app.folder, "latest"));
    expect(expectCleanPrefix(path)).toBe(51);
  },
);

test("a watch that is told to stop while the backup of its lineage hangs ends all the same", async () => {
  const app = await ledgerApp();
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  const never = new Promise<never>(() => {});
  let hung = false;
  const faulty = faultyStorage(storage, {
    async create(path, content) {
      hung ||= path.includes("/backups/");
      return hung ? never : storage.create(path, content);
    },
    list: (options) => (hung ? never : storage.list(options)),
    remove: (path) => (hung ? never : storage.remove(path)),
  });
  const repository = await Repository.open({
    ...{ storage: faulty, app: "product", mode: "write" },
    memory: new RepositoryMemory(join(app.folder, "memory")),
  });
  const engine = sqliteEngine({
    databases: [{ name: "app", path: app.path }],
    watchLimits: { graceMs: 200 },
  });
  const stop = new AbortController();
  const notes = new WatchNotes(join(app.folder, "memory"));
  const watching = watchAll({ repository, engine, notes, signal: stop.signal });
  await expect.poll(() => hung).toBe(true);
  stop.abort();
  await watching;
});

test("a watch that is told to stop between a hole and the backup that follows it says that this was not taken", async () => {
  const app = await ledgerApp();
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  let isFull = false;
  const faulty = faultyStorage(storage, {
    create(path, content) {
      if (isFull) throw new Error("the disk is full");
      return storage.create(path, content);
    },
  });
  const databases = [{ name: "app", path: app.path }];
  const watch = await WatchInProcess.start({ folder: app.folder, storage: faulty, databases });
  isFull = true;
  const copy = join(app.folder, "copy.db");
  await copyFile(app.path, copy);
  await rename(copy, app.path);
  await expect.poll(async () => (await watch.facts())?.holeCount).toBe(1);
  await expect.poll(async () => (await watch.facts())?.state).toBe("beginning");
  watch.stop();
  await expect(watch.ended).rejects.toMatchObject({
    code: "LOG_LEFT_BEHIND",
    message: expect.stringContaining("another file was put in the database's place"),
  });
});

test("a lineage begins with the pages that changed, until all that was laid over the full backup weighs as much", async () => {
  const app = await ledgerApp({ rows: 100 });
  const types = async () => (await app.manifests()).manifests.map(({ type }) => type);
  const begin = async () => (await WatchProcess.start(app)).stop();
  await app.backup();
  await sqlite3(app.path, "UPDATE ledger SET payload = randomblob(4000) WHERE seq < 20");
  await begin();
  expect(await types()).toEqual(["full", "incremental"]);
  await sqlite3(app.path, "UPDATE ledger SET payload = randomblob(4000)");
  await begin();
  expect(await types()).toEqual(["full", "incremental", "incremental"]);
  await sqlite3(app.path, "UPDATE counter SET v = 101");
  await begin();
  expect(await types()).toEqual(["full", "incremental", "incremental", "full"]);
});

test("a reader that stays keeps no lineage from beginning, and costs one backup", async () => {
  const app = await ledgerApp();
  const writer = await startWriter(app.path, { rate: 200 });
  const reader = await startBystander(app.path, "read");
  await writer.commits(20);
  const watch = await WatchProcess.start(app);
  await writer.commits(600);
  expect((await app.manifests()).manifests.map(({ details }) => details.way)).toEqual([
    "backup-api",
  ]);
  await reader.kill();
  await writer.commits(200);
  await writer.stop();
  const acknowledged = await writer.acknowledged();
  expect(await watch.stop()).toBe(0);
  expect((await app.manifests()).manifests).toHaveLength(1);
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(expectCleanPrefix(path)).toBe(acknowledged);
  expect(expectCleanPrefix(await restoreByHand(app, join(app.folder, "by-hand")))).toBe(
    acknowledged,
  );
});

test("a backup whose place in the log is not known begins no lineage: another one is taken", async () => {
  const app = await ledgerApp();
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  const writing = Promise.withResolvers<Process>();
  let asked = false;
  const faulty = faultyStorage(storage, {
    async create(path, content) {
      if (path.includes("/locks/sqlite-app/") && !asked) {
        asked = true;
        // From here on nobody gets through the gate.
        writing.resolve(await startBystander(app.path, "write"));
      }
      return storage.create(path, content);
    },
  });
  const databases = [{ name: "app", path: app.path }];
  const watch = await WatchInProcess.begin({ folder: app.folder, storage: faulty, databases });
  const writer = await writing.promise;
  const lineages = async () => (await app.manifests()).manifests.map(({ details }) => details.log);
  await expect.poll(lineages).toEqual([null]);
  await expect.poll(async () => (await watch.facts())?.backupFault).toContain("old reader");
  await writer.kill();
  await expect.poll(async () => (await watch.facts())?.state).toBe("shipping");
  await expect
    .poll(async () => (await lineages()).at(-1))
    .toMatchObject({ lineage: (await watch.facts())?.lineage });
  await sqlite3(app.path, "CREATE TABLE later(x)");
  watch.stop();
  await watch.ended;
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(await sqlite3(path, "SELECT count(*) FROM later")).toBe("0");
  expect((await app.verify(false)).problems).toEqual([]);
});

test("status says of a watch that it lives, that it is stopped, that it is gone, that only another account can ask it, and that a log is not gone on with", async () => {
  const app = await ledgerApp();
  const watch = await WatchProcess.start(app);
  await sqlite3(app.path, "UPDATE counter SET v = v + 1");
  await expect
    .poll(async () => (await watch.note())?.facts.lastSegment)
    .toEqual(expect.any(String));
  const { folder } = await app.manifests();
  const status = async (note: WatchNote | null) => {
    const { archive, alerts } = await app.engine.status(folder, note);
    return { archive, alerts: alerts.map(({ id }) => id) };
  };
  const living = await watch.note();
  const lastSegment = living?.facts.lastSegment;
  expect(await status(living)).toMatchObject({
    archive: { ok: true, lagSeconds: 0, lagBytes: 0, lastSegment, oldestUnarchived: null },
    alerts: [],
  });
  const facts = { ...living?.facts, unshippedSince: new Date(Date.now() - 90_000).toISOString() };
  const late = await status({ alive: true, at: living?.at as string, facts });
  expect(late.alerts).toEqual(["log-late"]);
  expect(late.archive?.lagSeconds).toBeGreaterThanOrEqual(90);
  // Of an account that cannot read its note.
  expect(await status(null)).toEqual({ archive: null, alerts: ["watch-elsewhere"] });
  process.kill(watch.pid, "SIGSTOP");
  expect(await status(living)).toMatchObject({
    archive: { ok: false, lagSeconds: null, lagBytes: null, lastSegment },
    alerts: ["watch-silent"],
  });
  await watch.stop("SIGKILL");
  expect(await status(await watch.note())).toMatchObject({
    archive: { ok: false, lagSeconds: null, lastSegment },
    alerts: ["watch-stopped"],
  });
  expect(await status(null)).toEqual({ archive: null, alerts: ["watch-missing"] });
});
