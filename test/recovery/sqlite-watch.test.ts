import { existsSync } from "node:fs";
import { copyFile, rename } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { DEFAULT_LIMITS } from "../../packages/sqlite/src/limits.ts";
import { parseLogName } from "../../packages/sqlite/src/log/name.ts";
import { lineagesOf, noteOf } from "../../packages/sqlite/src/log/objects.ts";
import { WATCH_LIMITS } from "../../packages/sqlite/src/watch/limits.ts";
import { ledgerApp } from "../support/ledger-app.ts";
import { expectCleanPrefix, startWriter } from "../support/sqlite.ts";
import type { SqliteApp } from "../support/sqlite-repository.ts";
import { restoreByHand, segmentsOf, WatchProcess } from "../support/sqlite-watch.ts";

async function restored(app: SqliteApp, to: string, at?: Date): Promise<number> {
  const target = at
    ? ({ kind: "time", at, exclusive: false } as const)
    : ({ kind: "latest" } as const);
  const { path } = await app.restore(join(app.folder, to), { target });
  return expectCleanPrefix(path);
}

test.each([512, 4096, 65536])(
  "with pages of %i bytes: all that was acknowledged is in the repository when a watch has ended, for us and for sqlite3 alone",
  async (pageSize) => {
    const app = await ledgerApp({ pageSize });
    // What a commit of large pages writes is more than a busy machine can pack within the two seconds of a stop.
    const rate = pageSize > 4096 ? 60 : 300;
    const writer = await startWriter(app.path, { rate });
    const watch = await WatchProcess.start(app);
    await writer.commits(2 * rate);
    await writer.stop();
    const acknowledged = await writer.acknowledged();
    expect(await watch.stop()).toBe(0);
    expect(await restored(app, "latest")).toBe(acknowledged);
    expect(expectCleanPrefix(await restoreByHand(app, join(app.folder, "by-hand")))).toBe(
      acknowledged,
    );
    expect((await app.verify(true)).problems).toEqual([]);
  },
);

test("any instant among 1500 commits a second gives what had been acknowledged by then, to one poll, and nothing from after it", async () => {
  const app = await ledgerApp();
  const writer = await startWriter(app.path, { rate: 1500, autocheckpoint: 20 });
  const watch = await WatchProcess.start(app);
  await writer.commits(4500);
  await writer.stop();
  await watch.stop();
  const ledger = await writer.ledger();
  // A look finds all that was acknowledged before the one before it ended, and of what came later one that is under way at most.
  const marks = await marksOf(app);
  const by = (instant: number) =>
    Math.max(50, ...ledger.filter((each) => each.acknowledgedAt <= instant).map(({ seq }) => seq));
  for (const share of [0.1, 0.5, 0.8]) {
    const nth = Math.floor(share * marks.length);
    const [before = 0, mark = 0, next = 0] = marks.slice(nth, nth + 3);
    for (const at of new Set([mark, next - 1])) {
      const { path, recoveredTo } = await app.restore(join(app.folder, `at-${at}-${share}`), {
        target: { kind: "time", at: new Date(at), exclusive: false },
      });
      const newest = expectCleanPrefix(path);
      expect(recoveredTo).toBe(new Date(mark).toISOString());
      expect(newest).toBeGreaterThanOrEqual(by(before));
      expect(newest).toBeLessThanOrEqual(by(mark) + 1);
    }
  }
});

/** The instants at which a watch found commits, of all that it shipped. */
async function marksOf(app: SqliteApp): Promise<number[]> {
  const { folder } = await app.manifests();
  const objects = [...(await lineagesOf(folder)).values()].flat();
  const notes = await Promise.all(objects.map((object) => noteOf(folder, object)));
  return [...new Set(notes.flatMap(({ marks }) => marks.map(([instant]) => instant)))];
}

test("the pace is what is promised: a look each 50 ms, a segment a second, an end within two seconds, a pin tried for five", () => {
  expect(WATCH_LIMITS).toMatchObject({ pollMs: 50, segmentMs: 1000 });
  expect(WATCH_LIMITS.graceMs).toBeLessThan(2000);
  expect(DEFAULT_LIMITS.pinPatienceMs).toBe(5000);
});

test("an idle database costs the repository nothing, and the WAL of a busy one stays small", async () => {
  const app = await ledgerApp();
  const writer = await startWriter(app.path, { rate: 400 });
  const watch = await WatchProcess.start(app);
  await writer.commits(1500);
  const size = async () => Number((await watch.note())?.facts.walBytes);
  const first = await size();
  await writer.commits(3000);
  // Some 80 MB were written meanwhile; while the first backup was copied it had to grow.
  expect((await size()) - first).toBeLessThan(32 << 20);
  await writer.stop();
  await expect.poll(async () => (await watch.note())?.facts.unshippedBytes).toBe(0);
  const before = await watch.note();
  const segments = await segmentsOf(app);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  // The note neither: not even its instant is another.
  expect(await watch.note()).toEqual(before);
  expect(await segmentsOf(app)).toEqual(segments);
});

test("a watch that was stopped in order goes on with its lineage; one that missed a checkpoint begins another, and no restore crosses the hole", async () => {
  const app = await ledgerApp();
  const keeper = new Database(app.path);
  keeper.pragma("wal_autocheckpoint = 0");
  const insert = () => {
    const [next] = [Number(keeper.prepare("SELECT v FROM counter").pluck().get()) + 1];
    keeper.exec(
      `BEGIN IMMEDIATE; INSERT INTO ledger VALUES (${next}, randomblob(100)); UPDATE counter SET v = ${next}; COMMIT`,
    );
    return next;
  };
  const first = await WatchProcess.start(app);
  insert();
  await expect
    .poll(async () => (await first.note())?.facts.lastSegment)
    .toContain("0000000001-0000000001");
  insert();
  await first.stop();
  // Taken outside of the log; that it is the newest does not hide where the log ended.
  await app.backup();
  insert();
  const second = await WatchProcess.start(app);
  const unbroken = insert();
  await second.stop();
  const [[, segments = []] = []] = await segmentsOf(app);
  expect((await segmentsOf(app)).size).toBe(1);
  expect(segments.length).toBeGreaterThan(2);
  // It went on behind the last of them, and stored none once more.
  expect(segments.map((name) => parseLogName(name)?.first)).toEqual(
    segments.map((_, index) => index + 1),
  );
  expect((await app.manifests()).manifests).toHaveLength(2);
  const end = Date.now();

  insert();
  keeper.pragma("wal_checkpoint(TRUNCATE)");
  insert();
  const third = await WatchProcess.start(app);
  expect((await third.note())?.facts).toMatchObject({
    holes: [expect.stringContaining("does not prove that nothing was lost since segment")],
    fallbacks: 0,
  });
  const last = insert();
  await third.stop();
  keeper.close();
  const { manifests } = await app.manifests();
  expect(manifests.map(({ type }) => type)).toEqual(["full", "full", "incremental"]);
  expect((await segmentsOf(app)).size).toBe(2);
  expect(await restored(app, "latest")).toBe(last);
  const windows = (await app.engine.reach((await app.manifests()).folder, manifests)).windows;
  expect(windows).toHaveLength(2);
  await expect(restored(app, "hole", new Date(end + 1))).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
  });
  expect(await restored(app, "before", new Date(windows[0]?.to as string))).toBe(unbroken);
});

/** One more row, by a connection of its own, the last of which removes the WAL. */
function insertOne(path: string): number {
  const database = new Database(path);
  try {
    const next = Number(database.prepare("SELECT v FROM counter").pluck().get()) + 1;
    database.exec(
      `BEGIN; INSERT INTO ledger VALUES (${next}, randomblob(100)); UPDATE counter SET v = ${next}; COMMIT`,
    );
    return next;
  } finally {
    database.close();
  }
}

test("a watch that was stopped in order goes on although the WAL was removed since, and with what was committed before it came back", async () => {
  const app = await ledgerApp();
  const first = await WatchProcess.start(app);
  insertOne(app.path);
  await first.stop();
  expect(existsSync(`${app.path}-wal`)).toBe(false);
  const second = await WatchProcess.start(app);
  insertOne(app.path);
  await second.stop();
  const keeper = new Database(app.path);
  keeper.prepare("SELECT v FROM counter").get();
  insertOne(app.path);
  const third = await WatchProcess.start(app);
  expect((await third.note())?.facts.holes).toEqual([]);
  await third.stop();
  // Nothing is committed when this one closes.
  keeper.close();
  const fourth = await WatchProcess.start(app);
  const last = insertOne(app.path);
  await fourth.stop();
  const { folder, manifests } = await app.manifests();
  expect(manifests).toHaveLength(1);
  expect((await app.engine.reach(folder, manifests)).windows).toHaveLength(1);
  expect(await restored(app, "latest")).toBe(last);
  expect(expectCleanPrefix(await restoreByHand(app, join(app.folder, "by-hand")))).toBe(last);
  expect((await app.verify(true)).problems).toEqual([]);
});

test.each([
  [
    "was written to, whatever time it is given",
    async (path: string) => {
      // To the nanosecond.
      await execa("touch", ["-r", path, `${path}.times`]);
      insertOne(path);
      await execa("touch", ["-r", `${path}.times`, path]);
    },
  ],
  [
    "was put there anew",
    async (path: string) => {
      await copyFile(path, `${path}.copy`);
      await rename(`${path}.copy`, path);
    },
  ],
  [
    "has a WAL of which a part is copied back",
    async (path: string) => {
      const keeper = new Database(path);
      onTestFinished(() => void keeper.close());
      keeper.prepare("SELECT v FROM counter").get();
      insertOne(path);
      keeper.pragma("wal_checkpoint(PASSIVE)");
      insertOne(path);
    },
  ],
])("a watch that comes back to a file that %s begins another lineage", async (_, change) => {
  const app = await ledgerApp();
  const first = await WatchProcess.start(app);
  insertOne(app.path);
  await first.stop();
  await change(app.path);
  const second = await WatchProcess.start(app);
  expect((await second.note())?.facts.holes).toHaveLength(1);
  const last = insertOne(app.path);
  await second.stop();
  expect(await segmentsOf(app)).toHaveProperty("size", 2);
  expect(await restored(app, "latest")).toBe(last);
});
