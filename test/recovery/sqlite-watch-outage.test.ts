import { join } from "node:path";
import {
  LifeboatError,
  Repository,
  RepositoryMemory,
  WatchNotes,
  watch as watchAll,
} from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { filesystemStorage } from "@lifeboat/storage";
import { expect, onTestFinished, test } from "vitest";
import { lineagesOf, noteOf } from "../../packages/sqlite/src/log/objects.ts";
import type { WatchLimits } from "../../packages/sqlite/src/watch/limits.ts";
import { faultyStorage } from "../support/faulty-storage.ts";
import {
  expectCleanPrefix,
  makeLedger,
  startBystander,
  startWriter,
  testFolder,
} from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";
import { segmentsOf } from "../support/sqlite-watch.ts";
import { WatchInProcess } from "../support/watch-in-process.ts";

test("a watch that a lock keeps from beginning says so, to status too, and goes on once it is gone with nothing lost", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  const databases = [{ name: "app", path: app.path }];
  const storage = filesystemStorage({ path: join(folder, "repository") });
  const before = await WatchInProcess.start({ folder, storage, databases });
  before.stop();
  await before.ended;
  const lock = await startBystander(app.path, "exclusive");
  const watch = await WatchInProcess.begin({ folder, storage, databases });
  await expect.poll(() => watch.said).toEqual([expect.stringMatching(LOCKED)]);
  const { folder: repository } = await app.manifests();
  const note = async () => new WatchNotes(watch.state).read(repository);
  await expect.poll(async () => (await note())?.facts.state).toBe("waiting");
  const told = await note();
  const locked = expect.stringContaining("nothing is shipped: the database is locked by another");
  const remedy = expect.stringMatching(/fuser -v \S+app\.db.*locking_mode = EXCLUSIVE/);
  expect(await app.engine.status(repository, told)).toMatchObject({
    archive: { ok: false, lagSeconds: null },
    alerts: [
      { id: "sqlite-locked-exclusively" },
      { id: "watch-waiting", severity: "error", summary: locked, remedy },
    ],
  });
  // Its patience was over.
  expect(await app.engine.status(repository, told && { ...told, alive: false })).toMatchObject({
    alerts: [
      { id: "sqlite-locked-exclusively" },
      { id: "watch-stopped", summary: expect.stringContaining("is locked by"), remedy },
    ],
  });
  await lock.kill();
  await expect.poll(() => watch.said.at(-1)).toMatch(/^app: shipping again .*; nothing is lost$/);
  expect(watch.said).toHaveLength(2);
  await expect.poll(async () => watch.facts()).toMatchObject({ state: "shipping", holes: [] });
  expect((await app.manifests()).manifests).toHaveLength(1);
  watch.stop();
  await watch.ended;
});

const LOCKED =
  /^app: nothing is shipped since [^ ]*: the database is locked by another process; it is tried again for 30 s, then the watch ends$/;

/** A watch in this process over a repository that can be away, and what it says. */
async function watched(watchLimits: Partial<WatchLimits> = {}) {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  const storage = filesystemStorage({ path: join(folder, "repository") });
  const state = { away: false };
  const faulty = faultyStorage(storage, {
    async create(path, content) {
      if (state.away && !path.includes("/locks/"))
        throw new LifeboatError({ code: "STORAGE_AWAY", message: "nobody is there", remedy: "" });
      return storage.create(path, content);
    },
  });
  const repository = await Repository.open({
    ...{ storage: faulty, app: "product", compression: { level: 1, logLevel: 1 }, mode: "write" },
    memory: new RepositoryMemory(join(folder, "memory")),
  });
  const notes = new WatchNotes(join(folder, "memory"));
  const said: string[] = [];
  const stop = new AbortController();
  const watching = watchAll({
    repository,
    engine: sqliteEngine({
      databases: [{ name: "app", path: app.path }],
      watchLimits,
    }),
    notes,
    log: (line) => said.push(line),
    signal: stop.signal,
  });
  watching.catch(() => {});
  onTestFinished(() => stop.abort());
  const facts = async () => (await notes.read(repository.folder("sqlite", "app")))?.facts;
  await expect.poll(async () => (await facts())?.state).toBe("shipping");
  const end = async () => {
    stop.abort();
    await watching;
  };
  return { app, said, state, facts, end };
}

test("a watch says once that the repository is away, what it does, and once that it is back with nothing lost", async () => {
  const { app, said, state, facts, end } = await watched({ segmentMarks: 3 });
  const writer = await startWriter(app.path, { rate: 100 });
  await writer.commits(50);
  expect(said).toEqual([]);
  state.away = true;
  await expect.poll(() => said.length).toBe(1);
  // It is said first, then noted.
  await expect.poll(async () => (await facts())?.fault).toBeTruthy();
  const fault = (await facts())?.fault as { since: string };
  expect(said[0]).toContain(`app: nothing is shipped since ${fault.since}: nobody is there; `);
  expect(said[0]).toMatch(/\d+ bytes of commits wait in the WAL and are tried again/);
  await writer.commits(100);
  await writer.stop();
  // Told since when at every try.
  expect((await facts())?.fault).toMatchObject({ since: fault.since });
  state.away = false;
  await expect.poll(() => said.length).toBe(2);
  expect(said[1]).toMatch(/^app: shipping again after \d+ s .*; nothing is lost$/);
  const acknowledged = await writer.acknowledged();
  await expect.poll(async () => (await facts())?.unshippedBytes).toBe(0);
  await end();
  expect(said).toHaveLength(2);
  // However long it was away: a note that grew with it could be read by nobody one day.
  const { folder } = await app.manifests();
  const segments = [...(await lineagesOf(folder)).values()].flat();
  const looks = await Promise.all(
    segments.map(async (segment) => (await noteOf(folder, segment)).marks.length),
  );
  expect(Math.max(...looks)).toBe(3);
  expect(expectCleanPrefix((await app.restore(join(app.folder, "to"))).path)).toBe(acknowledged);
});

test("where another one's segment lies under the next name the lineage ends there, is told to have a hole, and a new one begins", async () => {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path);
  const storage = filesystemStorage({ path: join(folder, "repository") });
  let other: string | undefined = "of another watch";
  const faulty = faultyStorage(storage, {
    async create(path, content) {
      const [, name] = /\/wal\/(.*)\.zst$/.exec(path) ?? [];
      if (name !== undefined && other !== undefined) {
        const bytes = Buffer.from(other);
        other = undefined;
        await watch.repository
          .folder("sqlite", "app")
          .over(storage)
          .storeLog(name, async function* () {
            yield bytes;
          });
      }
      return storage.create(path, content);
    },
  });
  const databases = [{ name: "app", path: app.path }];
  const watch = await WatchInProcess.start({ folder, storage: faulty, databases });
  const writer = await startWriter(app.path, { rate: 100 });
  await expect
    .poll(() => watch.said.join())
    .toContain("other content; it begins anew with a backup");
  await expect.poll(async () => (await watch.facts())?.lastSegment).toBeTruthy();
  await writer.stop();
  const acknowledged = await writer.acknowledged();
  watch.stop();
  await watch.ended;
  expect((await segmentsOf(app)).size).toBe(2);
  expect(expectCleanPrefix((await app.restore(join(app.folder, "to"))).path)).toBe(acknowledged);
});

test("a repository that is away for too long: the hole is told when it comes, and again with the end of the outage", async () => {
  const { app, said, state, facts, end } = await watched({ walBytes: 40 << 20 });
  const writer = await startWriter(app.path, { rate: 300, payload: 20_000 });
  state.away = true;
  await expect.poll(() => said.some((line) => line.includes("has a hole"))).toBe(true);
  await writer.stop();
  state.away = false;
  await expect.poll(() => said.at(-1)).toMatch(/^app: shipping again after /);
  const cause = "the WAL has grown to ";
  const [first, second] = said;
  expect(first).toContain("app: nothing is shipped since ");
  expect(second).toContain(`app: the log has a hole: ${cause}`);
  expect(second).toContain("it begins anew with a backup");
  expect(said.at(-1)).toContain(`there is a hole: ${cause}`);
  expect((await facts())?.holeCount).toBe(1);
  const acknowledged = await writer.acknowledged();
  await expect.poll(async () => (await facts())?.unshippedBytes).toBe(0);
  await end();
  expect(expectCleanPrefix((await app.restore(join(app.folder, "to"))).path)).toBe(acknowledged);
});
