import { readdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RecoveryTarget } from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { holdSocket, ShippedElsewhere } from "../../packages/sqlite/src/watch/hold-elsewhere.ts";
import { expectCleanPrefix, makeLedger, startWriter, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { WatchProcess } from "../support/sqlite-watch.ts";
import { WatchInProcess } from "../support/watch-in-process.ts";

async function twoDatabases() {
  const folder = await testFolder();
  const databases = ["orders", "users"].map((name) => ({
    name,
    path: join(folder, `${name}.db`),
  })) as [{ name: string; path: string }, { name: string; path: string }];
  for (const { path } of databases) makeLedger(path);
  const storage = filesystemStorage({ path: join(folder, "repository") });
  const watch = await WatchInProcess.start({ folder, storage, databases });
  const [orders, users] = databases;
  return { folder, orders, users, watch, app: new SqliteApp(folder, orders.path, {}, "orders") };
}

function commit(path: string, seq: number): void {
  const database = new Database(path);
  database.exec(
    `BEGIN; INSERT INTO ledger VALUES (${seq}, 'x'); UPDATE counter SET v = ${seq}; COMMIT`,
  );
  database.close();
}

/** Up to when a watch knows that nothing was committed. */
async function lookedAt({ state, repository }: WatchInProcess, name: string): Promise<number> {
  const socket = holdSocket(state, repository.folder("sqlite", name));
  const asked = await ShippedElsewhere.find(socket, "");
  const idle = await asked?.idle();
  asked?.close();
  return Date.parse(idle?.until ?? "");
}

/** Waits until a watch has found and stored all that was committed by now, which is returned. */
async function settled(watch: WatchInProcess): Promise<Date> {
  const now = new Date();
  for (const name of ["orders", "users"])
    await expect.poll(() => lookedAt(watch, name)).toBeGreaterThan(now.getTime());
  return now;
}

test("one watch ships several databases, each in a log of its own, and both come back whole", async () => {
  const { folder, orders, users, watch, app } = await twoDatabases();
  const writers = [
    await startWriter(orders.path, { rate: 100 }),
    await startWriter(users.path, { rate: 200 }),
  ];
  for (const writer of writers) await writer.commits(150);
  for (const writer of writers) await writer.stop();
  const acknowledged = await Promise.all(writers.map((writer) => writer.acknowledged()));
  const lineages = [await watch.facts("orders"), await watch.facts("users")].map(
    (facts) => facts?.lineage,
  );
  expect(new Set(lineages).size).toBe(2);
  // Both windows hold it, and end later.
  await settled(watch);
  const at = new Date();
  for (const [index, { path }] of [orders, users].entries())
    commit(path, (acknowledged[index] as number) + 1);
  // Behind the last commit of both, which the watch alone knows of.
  await settled(watch);
  const idle = await settled(watch);
  const restored = async (to: string, target: RecoveryTarget) => {
    const { databases } = await app.restore(join(folder, to), { target, onItsHost: true });
    return ["orders", "users"].map((name) =>
      expectCleanPrefix(databases.find(({ database }) => database === name)?.path ?? ""),
    );
  };
  expect(await restored("then", { kind: "time", at, exclusive: false })).toEqual(acknowledged);
  const newest = acknowledged.map((n) => n + 1);
  expect(await restored("idle", { kind: "time", at: idle, exclusive: false })).toEqual(newest);
  watch.stop();
  await watch.ended;
  expect(await restored("latest", { kind: "latest" })).toEqual(newest);
});

test("where one of several databases cannot be shipped any more, the others ship what they have and the watch ends", async () => {
  const { folder, orders, users, watch, app } = await twoDatabases();
  const writer = await startWriter(orders.path, { rate: 100 });
  const other = join(folder, "other");
  await writeFile(other, "no database at all".repeat(200));
  await rename(other, users.path);
  await expect(watch.ended).rejects.toMatchObject({ code: "NOT_A_DATABASE" });
  // The last word of the one that could go on: all up to a moment before its end is in the repository.
  const { path } = await app.restore(join(folder, "orders"), { database: "orders" });
  const newest = expectCleanPrefix(path);
  const acknowledged = await writer.acknowledged();
  expect(newest).toBeGreaterThan(50);
  expect(newest).toBeLessThanOrEqual(acknowledged + 1);
  expect((await watch.facts("orders"))?.unshippedBytes).toBe(0);
  await writer.stop();
});

test("a file that one watch ships is shipped by no second one, whatever repository and name it has there", async () => {
  const folder = await testFolder();
  const path = join(folder, "app.db");
  const link = join(folder, "link.db");
  makeLedger(path);
  await symlink(path, link);
  const init = (repository: string, name: string) => ({
    folder,
    storage: filesystemStorage({ path: join(folder, repository) }),
    databases: [{ name, path: name === "app" ? path : link }],
  });
  const first = await WatchProcess.start(new SqliteApp(folder, path));
  const second = await WatchInProcess.begin(init("second", "app"));
  await expect(second.ended).rejects.toMatchObject({
    code: "DATABASE_WATCHED",
    kind: "locked",
    message: expect.stringMatching(`process ${first.pid} ships .* into .*${folder}/repository`),
  });
  // A killed one is in nobody's way, and one that ended is gone.
  await first.stop("SIGKILL");
  const third = await WatchInProcess.start(init("second", "app"));
  const byLink = await WatchInProcess.begin(init("third", "linked"));
  await expect(byLink.ended).rejects.toMatchObject({ code: "DATABASE_WATCHED" });
  third.stop();
  await third.ended;
  const last = await WatchInProcess.start(init("third", "linked"));
  last.stop();
  await last.ended;
  expect((await readdir(last.state)).filter((name) => name.startsWith("watched-"))).toEqual([]);
});

test("a watch that knows nothing of the first one's state directory, as another account's, is refused as well; a killed one is in nobody's way", async () => {
  const folder = await testFolder();
  const path = join(folder, "app.db");
  makeLedger(path);
  const elsewhere = {
    folder: join(folder, "of-another-account"),
    storage: filesystemStorage({ path: join(folder, "second") }),
    databases: [{ name: "app", path }],
  };
  const first = await WatchProcess.start(new SqliteApp(folder, path));
  const second = await WatchInProcess.begin(elsewhere);
  await expect(second.ended).rejects.toMatchObject({
    code: "DATABASE_WATCHED",
    kind: "locked",
    message: expect.stringContaining(`process ${first.pid} ships the log of ${path} already`),
  });
  await first.stop("SIGKILL");
  const third = await WatchInProcess.start(elsewhere);
  third.stop();
  await third.ended;
});
