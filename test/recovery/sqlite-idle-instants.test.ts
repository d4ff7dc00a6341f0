import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { holdSocket, ShippedElsewhere } from "../../packages/sqlite/src/watch/hold-elsewhere.ts";
import { faultyStorage } from "../support/faulty-storage.ts";
import { expectCleanPrefix, isThere, makeLedger, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { segmentsOf, WatchProcess } from "../support/sqlite-watch.ts";
import { WatchInProcess } from "../support/watch-in-process.ts";

async function ledgerApp(): Promise<{ app: SqliteApp; database: Database.Database }> {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  // Kept open: the last connection that closes would copy the WAL back and remove it.
  return { app, database: new Database(app.path) };
}

function commit(database: Database.Database, seq: number): void {
  database.exec(
    `BEGIN; INSERT INTO ledger VALUES (${seq}, 'x'); UPDATE counter SET v = ${seq}; COMMIT`,
  );
}

const count = async (app: SqliteApp) => [...(await segmentsOf(app)).values()].flat().length;

async function shipped(app: SqliteApp, segments: number): Promise<void> {
  await expect.poll(() => count(app)).toBe(segments);
}

let copies = 0;
function restoreAt(app: SqliteApp, at: Date, onItsHost = true) {
  const target = { kind: "time", at, exclusive: false } as const;
  return app.restore(join(app.folder, `copy-${copies++}`), { target, onItsHost });
}

/** An instant after which the watch that runs has looked. */
async function passed(app: SqliteApp): Promise<Date> {
  const now = new Date();
  const socket = holdSocket(join(app.folder, "memory"), (await app.manifests()).folder);
  const lookedAt = async () => {
    const watch = await ShippedElsewhere.find(socket, app.path);
    const idle = await watch?.idle();
    watch?.close();
    return Date.parse(idle?.until ?? "");
  };
  await expect.poll(lookedAt).toBeGreaterThan(now.getTime());
  return now;
}

const outside = { code: "TARGET_OUTSIDE_WINDOWS", kind: "not-found" };

test("an instant of idle time behind the last commit gives that commit while the watch runs, and says so", async () => {
  const { app, database } = await ledgerApp();
  const watch = await WatchProcess.start(app);
  // Idle since the backup that the lineage began with.
  const atFirst = await passed(app);
  expect(expectCleanPrefix((await restoreAt(app, atFirst)).path)).toBe(50);
  commit(database, 51);
  await shipped(app, 1);
  const later = await passed(app);
  const found = await restoreAt(app, later);
  expect(expectCleanPrefix(found.path)).toBe(51);
  expect(found.findings.map(({ id }) => id)).toContain("last-commit-before-target");
  // Before the commit it is still the state before.
  expect(expectCleanPrefix((await restoreAt(app, atFirst)).path)).toBe(50);
  // What nobody can know yet, and what another host cannot know.
  await expect(restoreAt(app, new Date(Date.now() + 3_600_000))).rejects.toMatchObject(outside);
  await expect(restoreAt(app, later, false)).rejects.toMatchObject(outside);
  expect(await watch.stop()).toBe(0);
  database.close();
});

test("after a watch ended in order it is known up to its end, and not beyond; after a kill not until a backup at the same place of the log proves it", async () => {
  const { app, database } = await ledgerApp();
  const first = await WatchProcess.start(app);
  commit(database, 51);
  await shipped(app, 1);
  const idle = await passed(app);
  expect(await first.stop()).toBe(0);
  const stopped = new Date(Date.now() + 1);
  expect(expectCleanPrefix((await restoreAt(app, idle)).path)).toBe(51);
  await expect(restoreAt(app, stopped)).rejects.toMatchObject(outside);
  const second = await WatchProcess.start(app);
  commit(database, 52);
  await shipped(app, 2);
  const idleAgain = await passed(app);
  expect(expectCleanPrefix((await restoreAt(app, idleAgain)).path)).toBe(52);
  await second.stop("SIGKILL");
  await expect(restoreAt(app, idleAgain)).rejects.toMatchObject(outside);
  const third = await WatchProcess.start(app);
  await app.backup();
  expect(await third.stop("SIGKILL")).toBe(null);
  expect(expectCleanPrefix((await restoreAt(app, idleAgain, false)).path)).toBe(52);
  database.close();
});

test("while a commit waits to be stored no instant behind it is known", async () => {
  const { app, database } = await ledgerApp();
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  const { promise: answers, resolve: answer } = Promise.withResolvers<void>();
  let hangs = false;
  const faulty = faultyStorage(storage, {
    async create(path, content) {
      if (hangs && path.includes("/wal/")) await answers;
      return storage.create(path, content);
    },
  });
  const databases = [{ name: "app", path: app.path }];
  const watch = await WatchInProcess.start({ folder: app.folder, storage: faulty, databases });
  commit(database, 51);
  await shipped(app, 1);
  hangs = true;
  commit(database, 52);
  const behind = new Date();
  await expect.poll(async () => (await watch.facts())?.unshippedBytes).toBeGreaterThan(0);
  await expect(restoreAt(app, behind)).rejects.toMatchObject(outside);
  answer();
  watch.stop();
  await watch.ended;
  database.close();
});

test("a watch that does not answer is asked once, and the instant is refused", async () => {
  const { app, database } = await ledgerApp();
  const watch = await WatchProcess.start(app);
  expect(await watch.stop()).toBe(0);
  let asked = 0;
  const silent = createServer((socket) => {
    asked += 1;
    socket.on("data", () => socket.destroy());
  });
  const socket = holdSocket(join(app.folder, "memory"), (await app.manifests()).folder);
  await new Promise<void>((listens) => silent.listen(socket, listens));
  await expect(restoreAt(app, new Date())).rejects.toMatchObject(outside);
  expect(asked).toBe(1);
  silent.close();
  database.close();
});

test("a word about another log than the repository's is not believed", async () => {
  const { app, database } = await ledgerApp();
  const watch = await WatchProcess.start(app);
  commit(database, 51);
  await shipped(app, 1);
  commit(database, 52);
  await shipped(app, 2);
  const idle = await passed(app);
  expect(expectCleanPrefix((await restoreAt(app, idle)).path)).toBe(52);
  // The last segment is gone from the repository: the state of that instant is not in it.
  const { folder } = await app.manifests();
  const [last] = [...(await segmentsOf(app)).values()].flat().slice(-1);
  await rm(join(app.folder, "repository", folder.logPath(last as string)));
  await expect(restoreAt(app, idle)).rejects.toMatchObject(outside);
  expect(await isThere(join(app.folder, "repository"))).toBe(true);
  await watch.stop();
  database.close();
});
