import { existsSync } from "node:fs";
import { rename, stat } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import type { HeldFile } from "../../packages/sqlite/src/hold/held.ts";
import { pin } from "../../packages/sqlite/src/hold/pin.ts";
import { WalConnections } from "../../packages/sqlite/src/hold/wal-connections.ts";
import { holdSocket, ShippedElsewhere } from "../../packages/sqlite/src/watch/hold-elsewhere.ts";
import { faultyStorage } from "../support/faulty-storage.ts";
import { PATIENCE } from "../support/patience.ts";
import { expectCleanPrefix, makeLedger, startWriter, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { lineageOf, WatchProcess } from "../support/sqlite-watch.ts";
import { WatchInProcess } from "../support/watch-in-process.ts";

const patience = { patienceMs: PATIENCE.timeout, signal: new AbortController().signal };

async function ledgerApp(limits: SqliteApp["limits"] = {}): Promise<SqliteApp> {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"), limits);
  makeLedger(app.path, { rows: 300 });
  return app;
}

async function socketOf(app: SqliteApp): Promise<string> {
  return holdSocket(join(app.folder, "memory"), (await app.manifests()).folder);
}

async function watchOf(app: SqliteApp): Promise<ShippedElsewhere> {
  const found = await ShippedElsewhere.find(await socketOf(app), app.path);
  if (!found) throw new Error("no watch listens");
  return found;
}

test.each([
  ["busy", 300],
  ["idle", 0],
])(
  "a backup in another process than the watch is held by it, beside a database that is %s, and the log leads on from it",
  async (_, rate) => {
    // By the watch alone, whose readers keep a pin of its own out; an idle database at once, or not at all.
    const app = await ledgerApp({ pinPatienceMs: rate > 0 ? PATIENCE.timeout : 1 });
    const writer = rate > 0 ? await startWriter(app.path, { rate }) : undefined;
    const watch = await WatchProcess.start(app);
    const before = (await writer?.acknowledged()) ?? 300;
    const { id } = await app.backup();
    const details = await app.details();
    const note = await watch.note();
    expect(details.way).toBe("pin");
    expect(lineageOf(details)).toBe(note?.facts.lineage);
    expect(lineageOf(details)).toBeDefined();
    if (!writer)
      new Database(app.path).exec(
        "BEGIN; INSERT INTO ledger VALUES (301, 'x'); UPDATE counter SET v = 301; COMMIT",
      );
    await writer?.stop();
    const acknowledged = (await writer?.acknowledged()) ?? 301;
    expect(await watch.stop()).toBe(0);
    const alone = await app.restore(join(app.folder, "alone"), { target: { kind: "backup", id } });
    expect(expectCleanPrefix(alone.path)).toBeGreaterThanOrEqual(before);
    const latest = await app.restore(join(app.folder, "latest"));
    // From the newest backup on, which is this one, through its place in the log.
    expect(latest.backup).toBe(id);
    expect(expectCleanPrefix(latest.path)).toBe(acknowledged);
    const { problems } = await app.verify(true);
    expect(problems).toEqual([]);
  },
);

test("a backup beside a WAL that was begun for a transaction which was rolled back, and then given up, lies in the log", async () => {
  const app = await ledgerApp();
  const watch = await WatchProcess.start(app);
  const database = new Database(app.path);
  database.exec("UPDATE ledger SET payload = 'y' WHERE seq = 1");
  database.pragma("wal_checkpoint(TRUNCATE)");
  database.pragma("cache_size = 5");
  database.exec("BEGIN; UPDATE ledger SET payload = randomblob(2000); ROLLBACK");
  expect((await stat(`${app.path}-wal`)).size).toBeGreaterThan(0);
  const { id } = await app.backup();
  database.pragma("wal_checkpoint(TRUNCATE)");
  expect((await stat(`${app.path}-wal`)).size).toBe(0);
  database.exec("BEGIN; INSERT INTO ledger VALUES (301, 'x'); UPDATE counter SET v = 301; COMMIT");
  database.close();
  expect(await watch.stop()).toBe(0);
  expect((await app.verify(true)).problems).toEqual([]);
  const latest = await app.restore(join(app.folder, "latest"));
  expect(latest.backup).toBe(id);
  expect(expectCleanPrefix(latest.path)).toBe(301);
});

test("while a watch holds for a backup no checkpoint of anybody writes to the file, and afterwards it goes on", async () => {
  const app = await ledgerApp();
  const writer = await startWriter(app.path, { rate: 300 });
  const watch = await WatchProcess.start(app);
  const shipped = await watchOf(app);
  const held = await shipped.hold(patience);
  expect(held).toMatchObject({ way: "pin", place: expect.anything() });
  const { mtimeMs, size } = await stat(app.path);
  const other = new Database(app.path, { timeout: 10 });
  const from = await writer.acknowledged();
  await expect.poll(() => writer.acknowledged()).toBeGreaterThan(from + 100);
  other.pragma("wal_checkpoint(PASSIVE)");
  expect(await stat(app.path)).toMatchObject({ mtimeMs, size });
  await held?.confirm?.();
  held?.release();
  // Another may hold then, and one at a time.
  const next = await watchOf(app);
  const again = await next.hold(patience);
  expect(again?.way).toBe("pin");
  const third = await watchOf(app);
  expect(await third.hold({ ...patience, patienceMs: 1 })).toBeUndefined();
  await again?.confirm?.();
  again?.release();
  other.close();
  await writer.stop();
  expect(await watch.stop()).toBe(0);
});

test("a watch that was killed while it held makes the copy void, however alike the file looks", async () => {
  const app = await ledgerApp();
  const watch = await WatchProcess.start(app);
  const held = await (await watchOf(app)).hold(patience);
  if (!held?.confirm) throw new Error("not held");
  await held.confirm();
  await watch.stop("SIGKILL");
  await expect(held.confirm()).rejects.toMatchObject({ code: "HOLD_LOST" });
});

test("a watch that has let go of the file, and only stores the rest yet, makes the copy void", async () => {
  const app = await ledgerApp();
  const other = join(app.folder, "other.db");
  makeLedger(other);
  const inner = filesystemStorage({ path: join(app.folder, "repository") });
  const { promise: hanging, resolve: goOn } = Promise.withResolvers<void>();
  const storage = faultyStorage(inner, {
    async create(path, content) {
      if (path.includes("/wal/")) await hanging;
      return inner.create(path, content);
    },
  });
  const databases = [{ name: "app", path: app.path }];
  const watch = await WatchInProcess.start({ folder: app.folder, storage, databases });
  const database = new Database(app.path);
  database.exec("UPDATE counter SET v = v");
  database.close();
  const held = await (await watchOf(app)).hold(patience);
  await held?.confirm?.();
  await rename(other, app.path);
  await expect.poll(() => existsSync(`${app.path}-wal`)).toBe(false);
  await expect(held?.confirm?.()).rejects.toMatchObject({ code: "HOLD_LOST" });
  goOn();
  watch.stop();
  await watch.ended.catch(() => {});
});

test("a backup that holds the file while the WAL grows past what the disk can spare holds it no longer", async () => {
  const app = await ledgerApp();
  const watch = await WatchInProcess.start({
    ...{ folder: app.folder, databases: [{ name: "app", path: app.path }] },
    storage: filesystemStorage({ path: join(app.folder, "repository") }),
    limits: { walBytes: 200_000, checkpointBytes: 4096 },
  });
  const held = await (await watchOf(app)).hold(patience);
  await held?.confirm?.();
  const database = new Database(app.path);
  database.exec("UPDATE ledger SET payload = randomblob(2000)");
  database.close();
  const answer = () =>
    held?.confirm?.().then(
      () => "held",
      ({ code }: LifeboatError) => code,
    );
  await expect.poll(answer).toBe("HOLD_LOST");
  // The watch goes on, and copies the WAL back.
  await expect.poll(async () => (await watch.facts())?.backlogBytes).toBe(0);
  watch.stop();
  await watch.ended;
});

test.each([
  { limits: {}, how: "is made once more where it is not stored yet" },
  { limits: { spareBytes: Number.MAX_SAFE_INTEGER }, how: "is void where it was stored already" },
])("a copy of a file that was not held to its end $how", async ({ limits }) => {
  const app = await ledgerApp(limits);
  let holds = 0;
  app.shipping.set("app", {
    lineage: "20261122T101500.123Z-1f2e3d4c",
    async hold({ signal, patienceMs }) {
      holds += 1;
      const connections = await WalConnections.open(app.path, patienceMs, signal);
      const options = { pageSize: 4096, checkpointFreely: true, patienceMs, signal };
      const held = (await pin(connections, options)) as HeldFile;
      return {
        ...held,
        async confirm() {
          throw new LifeboatError({ code: "HOLD_LOST", message: "m", remedy: "r" });
        },
      };
    },
  });
  const taking = app.backup();
  if ("spareBytes" in limits) {
    await expect(taking).rejects.toMatchObject({ code: "HOLD_LOST" });
    expect((await app.manifests()).manifests).toEqual([]);
  } else {
    await taking;
    expect(await app.details()).toMatchObject({ way: "pin", log: null });
    const { path } = await app.restore(join(app.folder, "to"));
    expect(expectCleanPrefix(path)).toBe(300);
  }
  expect(holds).toBe(1);
});

test("a file that is in another journal mode once it is held than it was looked at in is let go, and refused", async () => {
  const app = await ledgerApp();
  let released = 0;
  app.shipping.set("app", {
    lineage: null,
    async hold({ signal, patienceMs }) {
      const connections = await WalConnections.open(app.path, patienceMs, signal);
      const options = { pageSize: 4096, checkpointFreely: true, patienceMs, signal };
      const held = (await pin(connections, options)) as HeldFile;
      return {
        ...held,
        facts: { ...held.facts, journalMode: "rollback" },
        release() {
          released += 1;
          return held.release();
        },
      };
    },
  });
  await expect(app.backup()).rejects.toMatchObject({ code: "DATABASE_CHANGED" });
  expect(released).toBe(1);
  expect((await app.manifests()).manifests).toEqual([]);
});

test("backups taken while watches are killed at any instant are clean, each of them", async () => {
  const app = await ledgerApp();
  const writer = await startWriter(app.path, { rate: 300 });
  const ids: string[] = [];
  for (let round = 0; round < 6; round++) {
    const watch = await WatchProcess.start(app);
    const [report] = await Promise.all([
      app.backup(),
      new Promise((resolve) => setTimeout(resolve, 40 * round)).then(() => watch.stop("SIGKILL")),
    ]);
    ids.push(report.id);
  }
  await writer.stop();
  for (const id of ids) {
    const copy = await app.restore(join(app.folder, id), { target: { kind: "backup", id } });
    expectCleanPrefix(copy.path);
  }
});

test("a watch that holds another file than the one that is to be copied holds it for nobody", async () => {
  const app = await ledgerApp();
  await WatchProcess.start(app);
  const other = join(app.folder, "other.db");
  makeLedger(other);
  const found = await ShippedElsewhere.find(await socketOf(app), other);
  expect(await found?.hold(patience)).toBeUndefined();
  expect((await (await watchOf(app)).hold(patience))?.way).toBe("pin");
});

test("words that no backup says end the connection, and the watch goes on", async () => {
  const app = await ledgerApp();
  const watch = await WatchProcess.start(app);
  const path = await socketOf(app);
  for (const said of [
    "\n",
    "{}\n",
    "x".repeat(1 << 20),
    '{"ask":"hold","patienceMs":"no"}\n{"ask":"hold"}\n',
  ]) {
    const socket = connect(path);
    socket.on("error", () => {});
    socket.resume();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(said);
    await closed;
  }
  await app.backup();
  expect((await app.details()).way).toBe("pin");
  expect(await watch.stop()).toBe(0);
});
