import { existsSync, renameSync } from "node:fs";
import { copyFile, link, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Engine, WatchNotes, watch } from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import { expect, onTestFinished, test } from "vitest";
import { lineagesOf } from "../../packages/sqlite/src/log/objects.ts";
import { WATCH_LIMITS } from "../../packages/sqlite/src/watch/limits.ts";
import { watchDatabase } from "../../packages/sqlite/src/watch/watch-database.ts";
import { ledgerApp, sqlite3 } from "../support/ledger-app.ts";
import { expectCleanPrefix, makeLedger, startBystander, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { WatchProcess } from "../support/sqlite-watch.ts";
import { WatchInProcess } from "../support/watch-in-process.ts";

test("a file that was put in the database's place begins a lineage of its own", async () => {
  const app = await ledgerApp();
  const other = join(app.folder, "other.db");
  makeLedger(other, { rows: 900 });
  const watch = await WatchProcess.start(app);
  const first = (await watch.note())?.facts.lineage;
  for (const beside of ["-wal", "-shm"]) await rm(`${app.path}${beside}`, { force: true });
  await rename(other, app.path);
  await sqlite3(app.path, "CREATE TABLE after_it(x); INSERT INTO after_it VALUES (1)");
  await expect.poll(async () => (await watch.note())?.facts.lineage).not.toBe(first);
  await watch.isShipping();
  await sqlite3(app.path, "INSERT INTO after_it VALUES (2)");
  await watch.stop();
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(expectCleanPrefix(path)).toBe(900);
  expect(await sqlite3(path, "SELECT count(*) FROM after_it")).toBe("2");
});

test("what was found and not stored yet when another file was put in the database's place is the end of the old lineage", async () => {
  const app = await ledgerApp();
  const other = join(app.folder, "other.db");
  makeLedger(other);
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  const watch = await WatchInProcess.start({
    ...{ folder: app.folder, storage, databases: [{ name: "app", path: app.path }] },
    limits: { segmentMs: 600_000 },
  });
  const first = (await watch.facts())?.lineage ?? "";
  await sqlite3(app.path, "INSERT INTO ledger VALUES (51, 'x')");
  await expect.poll(async () => (await watch.facts())?.unshippedBytes).toBeGreaterThan(0);
  await rename(other, app.path);
  await expect.poll(async () => (await watch.facts())?.lineage).not.toBe(first);
  const { folder } = await app.manifests();
  expect((await lineagesOf(folder)).get(first)?.map(({ last }) => last)).toEqual([1]);
  watch.stop();
  await watch.ended.catch(() => {});
});

test.each([
  ["put over it", false],
  ["put in its place once it was moved away", true],
])(
  "a product that is stopped finds a file whole that was %s: the WAL that the watch kept is copied back and taken away",
  async (_, movesFirst) => {
    const app = await ledgerApp();
    const [other, old] = ["other.db", "old.db"].map((name) => join(app.folder, name)) as [
      string,
      string,
    ];
    const watch = await WatchProcess.start(app);
    await sqlite3(app.path, "CREATE TABLE last(x); INSERT INTO last VALUES (1)");
    await sqlite3(app.path, `VACUUM INTO '${other}'`);
    await sqlite3(app.path, "INSERT INTO last VALUES (2)");
    if (movesFirst) await rename(app.path, old);
    else await link(app.path, old);
    if (movesFirst) await expect.poll(() => existsSync(`${app.path}-wal`)).toBe(false);
    await rename(other, app.path);
    await expect.poll(() => existsSync(`${app.path}-wal`)).toBe(false);
    expect(await sqlite3(app.path, "PRAGMA integrity_check; SELECT x FROM last")).toBe("ok\n1");
    expect(await sqlite3(old, "SELECT x FROM last")).toBe("1\n2");
    await watch.stop();
  },
);

test("the WAL of a file that is gone, as one on its way to another disk, is left for whoever takes it along", async () => {
  const app = await ledgerApp();
  const watch = await WatchProcess.start(app);
  await sqlite3(app.path, "CREATE TABLE last(x); INSERT INTO last VALUES (1)");
  const elsewhere = join(app.folder, "elsewhere.db");
  await copyFile(app.path, elsewhere);
  await rm(app.path);
  await expect.poll(async () => (await watch.note())?.facts.state).toBe("waiting");
  await rename(`${app.path}-wal`, `${elsewhere}-wal`);
  expect(await sqlite3(elsewhere, "PRAGMA integrity_check; SELECT x FROM last")).toBe("ok\n1");
});

test("a WAL that somebody has open beside a file that was put in the database's place stays, and the hole says what to do", async () => {
  const app = await ledgerApp();
  const other = join(app.folder, "other.db");
  makeLedger(other, { rows: 900 });
  const watch = await WatchProcess.start(app);
  await startBystander(app.path, "idle");
  await rename(other, app.path);
  const holes = async () => JSON.stringify((await watch.note())?.facts.holes);
  await expect.poll(holes).toMatch(/app\.db-wal of the old file lay beside .*integrity_check/);
  expect(existsSync(`${app.path}-wal`)).toBe(true);
});

test("a link that is turned to another file begins a lineage with that one", async () => {
  const folder = await testFolder();
  const [one, other, path] = ["one.db", "other.db", "app.db"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  makeLedger(one);
  makeLedger(other, { rows: 900 });
  await symlink(one, path);
  const app = new SqliteApp(folder, path);
  const watch = await WatchProcess.start(app);
  const first = (await watch.note())?.facts.lineage;
  // In one step, as a deployment does.
  await symlink(other, `${path}.new`);
  await rename(`${path}.new`, path);
  await expect.poll(async () => (await watch.note())?.facts.lineage).not.toBe(first);
  await watch.isShipping();
  await watch.stop();
  const restored = await app.restore(join(folder, "latest"));
  expect(expectCleanPrefix(restored.path)).toBe(900);
});

test("a file that was moved away is waited for, while other databases are shipped on; what is put in its place begins a lineage", async () => {
  const app = await ledgerApp();
  const beside = join(app.folder, "beside.db");
  const other = join(app.folder, "other.db");
  makeLedger(beside);
  makeLedger(other, { rows: 900 });
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  const databases = [
    { name: "app", path: app.path },
    { name: "beside", path: beside },
  ];
  const watch = await WatchInProcess.start({ folder: app.folder, storage, databases });
  const first = (await watch.facts())?.lineage;

  await rename(app.path, `${app.path}.aside`);
  for (const end of ["-wal", "-shm"]) await rm(`${app.path}${end}`, { force: true });
  await expect.poll(async () => (await watch.facts())?.state).toBe("waiting");
  const note = await new WatchNotes(watch.state).read(watch.repository.folder("sqlite", "app"));
  const { archive, alerts } = await app.engine.status(null, note);
  expect(archive).toMatchObject({ ok: false, lagSeconds: null });
  expect(alerts).toContainEqual(
    expect.objectContaining({
      id: "watch-waiting",
      summary: `nothing is shipped: there is no database ${app.path}`,
      remedy: expect.stringContaining("lifeboat restore"),
    }),
  );
  const shipped = async () => (await watch.facts("beside"))?.lastSegment;
  const before = await shipped();
  await sqlite3(beside, "UPDATE counter SET v = v + 1");
  await expect.poll(shipped).not.toBe(before);

  const reasonToWait = async () =>
    ((await watch.facts()) as { reason?: string } | undefined)?.reason;
  // Whoever copies it there makes an empty file first.
  await writeFile(app.path, "");
  await expect.poll(reasonToWait).toBe(`${app.path} is an empty file`);
  await rename(other, app.path);
  await expect.poll(async () => (await watch.facts())?.state).toBe("shipping");
  expect((await watch.facts())?.lineage).not.toBe(first);
  await expect.poll(() => watch.said.at(-1)).toMatch(/^app: shipping again .* there is a hole/);
  watch.stop();
  await watch.ended;
  const { path } = await app.restore(join(app.folder, "latest"), { database: "app" });
  expect(expectCleanPrefix(path)).toBe(900);
});

test("a watch that finds no database as it begins says so and ends: nothing is configured there", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  const watch = await WatchInProcess.begin({
    folder,
    storage: filesystemStorage({ path: join(folder, "repository") }),
    databases: [{ name: "app", path: app.path }],
  });
  await expect(watch.ended).rejects.toMatchObject({ code: "DATABASE_MISSING" });
});

test("a file that is moved away in the very moment in which its WAL is taken hold of ends no watch: it is waited for", async () => {
  const app = await ledgerApp();
  const aside = `${app.path}.aside`;
  let moved = false;
  const limits = {
    ...WATCH_LIMITS,
    // Asked for after the file was looked at, and before it is opened.
    get walBytes() {
      if (!moved) renameSync(app.path, aside);
      moved = true;
      return null;
    },
  };
  const engine: Engine = {
    ...app.engine,
    watch: (request) =>
      watchDatabase({ name: "app", path: app.path }, request, {
        ...{ limits, shipping: app.shipping, directory: undefined },
      }),
  };
  const repository = await app.repository();
  const notes = new WatchNotes(join(app.folder, "memory"));
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const ended = watch({ repository, engine, notes, signal: stop.signal });
  const state = async () => (await notes.read(repository.folder("sqlite", "app")))?.facts.state;
  await expect.poll(state).toBe("waiting");
  await rename(aside, app.path);
  await expect.poll(state).toBe("shipping");
  stop.abort();
  await ended;
});
