import { uptime } from "node:os";
import { join } from "node:path";
import { type Manifest, status } from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { detailsOf } from "../../packages/sqlite/src/details.ts";
import { lineagesOf } from "../../packages/sqlite/src/log/objects.ts";
import { newestLineage } from "../../packages/sqlite/src/log/order.ts";
import { type IdleLog, knownUntil } from "../../packages/sqlite/src/watch/idle-log.ts";
import { WATCH_LIMITS } from "../../packages/sqlite/src/watch/limits.ts";
import { newestLineageEnd } from "../../packages/sqlite/src/watch/resume.ts";
import { WalHolder } from "../../packages/sqlite/src/watch/wal-holder.ts";
import { ledgerApp } from "../support/ledger-app.ts";
import { closeHistories, dumpOf, history } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import type { SqliteApp } from "../support/sqlite-repository.ts";
import { WatchInProcess } from "../support/watch-in-process.ts";

/** The machine's own clock, whatever is made of it. */
const NOW = Date.now.bind(Date);
const HOUR = 3_600_000;

afterEach(() => {
  vi.useRealTimers();
  closeHistories();
});

/** By a clock that is an hour ahead. */
async function ahead<T>(work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + HOUR });
  try {
    return await work();
  } finally {
    vi.useRealTimers();
  }
}

function count(path: string): unknown {
  const database = new Database(path, { readonly: true });
  try {
    return database.prepare("SELECT v FROM counter").pluck().get();
  } finally {
    database.close();
  }
}

function change(app: SqliteApp, v: number): void {
  const database = new Database(app.path);
  database.prepare("UPDATE counter SET v = ?").run(v);
  database.close();
}

async function alertsOf(app: SqliteApp): Promise<string[]> {
  const engines = [app.engine];
  const { alerts } = await status({ repository: await app.repository(), engines, live: null });
  return alerts.map(({ id }) => id).filter((id) => id === "clock-set-back");
}

test("a log that began after the clock was set back is not passed over for the older one, whose instants are later: each is had by name", async () => {
  const app = await ledgerApp();
  const old = await Recorder.begin(app);
  old.clock = () => Date.now() + HOUR;
  const before = await history(app, ["UPDATE counter SET v = 1"], { recorder: old });
  const after = await history(app, ["UPDATE counter SET v = 2", "UPDATE counter SET v = 3"], {
    recorder: await Recorder.begin(app, "incremental"),
  });
  const [early, late] = [before.states.at(-1), after.states.at(-1)] as [
    (typeof before.states)[0],
    (typeof before.states)[0],
  ];
  await expect(app.restore(join(app.folder, "latest"))).rejects.toMatchObject({
    code: "CLOCK_SET_BACK",
    kind: "failed",
    remedy: expect.stringContaining(
      `--at ${new Date(late.at).toISOString()} for the one that came`,
    ),
  });
  const at = async (instant: number) => {
    const target = { kind: "time", at: new Date(instant), exclusive: false } as const;
    return dumpOf((await app.restore(join(app.folder, `at-${instant}`), { target })).path);
  };
  expect(await at(late.at)).toBe(late.dump);
  expect(await at(early.at)).toBe(early.dump);
  expect(await alertsOf(app)).toEqual(["clock-set-back"]);
});

test("a backup outside of a log that goes on behind it is no reason to doubt the log's end, and lies within its window", async () => {
  const app = await ledgerApp();
  const recorder = await Recorder.begin(app);
  await history(app, ["UPDATE counter SET v = 1"], { recorder });
  app.shipping.clear();
  expect((await app.backupIncrement()).type).toBe("incremental");
  const { states } = await history(app, ["UPDATE counter SET v = 2"], { recorder });
  expect(dumpOf((await app.restore(join(app.folder, "latest"))).path)).toBe(states.at(-1)?.dump);
  const { folder, manifests } = await app.manifests();
  expect((await app.engine.reach(folder, manifests)).windows).toMatchObject([
    { from: manifests[0]?.consistentAt, to: new Date(states.at(-1)?.at as number).toISOString() },
  ]);
});

test("a watch that comes back goes on from the last instant of its log, however far that is ahead", async () => {
  const app = await ledgerApp();
  const recorder = await Recorder.begin(app);
  recorder.clock = () => Date.now() + HOUR;
  const { states } = await history(app, ["UPDATE counter SET v = 1"], { recorder });
  const last = states.at(-1)?.at;
  const { folder, manifests } = await app.manifests();
  const end = await newestLineageEnd(folder, manifests);
  const instants: number[] = [];
  const holder = new WalHolder({
    ...{ path: app.path, pageSize: 4096, checkpointFreely: true, limits: WATCH_LIMITS },
    found: (_, instant) => void instants.push(instant),
    mayBeginAnew: () => true,
  });
  onTestFinished(() => holder.close());
  expect(holder.takeHold(end)).toBe(true);
  change(app, 2);
  holder.poll();
  expect(instants).toEqual([last]);
});

test("a backup that builds on one of a later instant says so, and is not passed over for it", async () => {
  const app = await ledgerApp();
  const { id: first } = await ahead(() => app.backup());
  change(app, 99);
  const { id, findings, type } = await app.backupIncrement();
  expect(type).toBe("incremental");
  expect(findings).toMatchObject([{ id: "clock-set-back", severity: "warning" }]);
  expect(findings[0]?.summary).toContain(`${id}, bears an earlier instant than ${first}`);
  await expect(app.restore(join(app.folder, "latest"))).rejects.toMatchObject({
    code: "CLOCK_SET_BACK",
    details: { newest: first, later: id },
  });
  const target = { kind: "backup", id } as const;
  expect(count((await app.restore(join(app.folder, "named"), { target })).path)).toBe(99);
});

test("full backups tell no order but their instants: who takes or restores one is told, and once the clock has passed them all is as ever", async () => {
  const app = await ledgerApp();
  const { findings: none } = await ahead(() => app.backup());
  expect(none).toEqual([]);
  change(app, 99);
  expect((await app.backup()).findings).toMatchObject([{ id: "clock-set-back" }]);
  const latest = await app.restore(join(app.folder, "latest"));
  expect(latest.findings).toMatchObject([{ id: "clock-set-back", severity: "warning" }]);
  expect(count(latest.path)).toBe(50);
  expect(await alertsOf(app)).toEqual(["clock-set-back"]);
  change(app, 100);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * HOUR });
  expect((await app.backup()).findings).toEqual([]);
  const later = await app.restore(join(app.folder, "later"));
  expect({ v: count(later.path), findings: later.findings }).toEqual({ v: 100, findings: [] });
  expect(await alertsOf(app)).toEqual([]);
});

test("a watch under which the clock is set back stores a segment each second as before, and copies the WAL back", async () => {
  const app = await ledgerApp();
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  const watch = await WatchInProcess.start({
    ...{ folder: app.folder, storage, databases: [{ name: "app", path: app.path }] },
    limits: { checkpointBytes: 4096 },
  });
  const clock = vi.spyOn(Date, "now");
  onTestFinished(() => clock.mockRestore());
  const setBy = (milliseconds: number) => clock.mockImplementation(() => NOW() + milliseconds);
  setBy(HOUR);
  change(app, 7000);
  await expect.poll(async () => (await watch.facts())?.lastSegment).toMatch(/0000000001\./);
  setBy(0);
  const checkpoints = async () => (await watch.facts())?.gates.count ?? 0;
  const before = await checkpoints();
  change(app, 7001);
  await expect.poll(async () => (await watch.facts())?.lastSegment).toMatch(/0000000002\./);
  await expect.poll(checkpoints).toBeGreaterThan(before);
  const { path } = await app.restore(join(app.folder, "latest"));
  expect(count(path)).toBe(7001);
  watch.stop();
  await watch.ended;
});

test("a backup that was taken by a clock which was ahead, and set back under the watch since, is not taken for the newest state", async () => {
  const app = await ledgerApp();
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  const watch = await WatchInProcess.start({
    ...{ folder: app.folder, storage, databases: [{ name: "app", path: app.path }] },
    limits: { segmentMs: 1 },
  });
  const changed = async (v: number, segment: string) => {
    change(app, v);
    const lastSegment = expect.stringContaining(segment);
    await expect.poll(async () => watch.facts()).toMatchObject({ lastSegment });
  };
  const { id } = await ahead(async () => {
    await changed(7000, "0000000001-");
    vi.setSystemTime(Date.now() + 1000);
    return app.backup();
  });
  for (const nth of [2, 3, 4]) await changed(7000 + nth, `000000000${nth}-`);
  const latest = await app.restore(join(app.folder, "latest"));
  expect({ backup: latest.backup, v: count(latest.path) }).toEqual({ backup: id, v: 7004 });
  // Another one, in the last segment, bears an instant of the first one's time.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - HOUR });
  await app.backup();
  vi.useRealTimers();
  expect((await app.verify(true)).problems).toEqual([]);
  watch.stop();
  await watch.ended;
});

test("what a watch knew as it ended by a clock that was ahead is known no further than to that moment by the clock as it is now", async () => {
  const app = await ledgerApp();
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  const databases = [{ name: "app", path: app.path }];
  const watch = await WatchInProcess.start({ folder: app.folder, storage, databases });
  const before = Date.now();
  await ahead(async () => {
    watch.stop();
    await watch.ended;
  });
  const ended = Date.now();
  await expect.poll(Date.now).toBeGreaterThan(ended + 100);
  change(app, 7000);
  const restoreAt = (at: number, name: string) => {
    const target = { kind: "time", at: new Date(at), exclusive: false } as const;
    return app.restore(join(app.folder, name), { target, onItsHost: true });
  };
  const outside = { code: "TARGET_OUTSIDE_WINDOWS" };
  await expect(restoreAt(Date.now(), "after")).rejects.toMatchObject(outside);
  expect(count((await restoreAt(before, "before")).path)).toBe(50);
  // The machine was started anew since: all the time that it has been up lies behind that look.
  const { idle } = (await watch.facts()) ?? {};
  const untilBoot = Date.now() - (uptime() - 1) * 1000;
  expect(idle).toMatchObject({ uptime: expect.any(Number) });
  expect(knownUntil({ ...(idle as IdleLog), uptime: uptime() + 60 })).toBeLessThan(untilBoot);
});

test("a log that began once the clock was set back is gone on with at each restart, although an older one has later instants", async () => {
  const app = await ledgerApp();
  const storage = filesystemStorage({ path: join(app.folder, "repository") });
  const databases = [{ name: "app", path: app.path }];
  const watched = async (v: number) => {
    const watch = await WatchInProcess.begin({
      ...{ folder: app.folder, storage, databases },
      limits: { segmentMs: 1 },
    });
    // Not the last word of the one before.
    const begun = { state: "shipping", lastSegment: null };
    await expect.poll(async () => watch.facts()).toMatchObject(begun);
    const { lineage, holes } = (await watch.facts()) ?? {};
    change(app, v);
    await expect.poll(async () => (await watch.facts())?.lastSegment).toContain(lineage);
    watch.stop();
    await watch.ended;
    return { lineage, holes };
  };
  const old = await ahead(() => watched(7000));
  // With no watch beside it.
  change(app, 7001);
  const own = await watched(7002);
  expect(own.holes).toHaveLength(1);
  expect((own.lineage ?? "") < (old.lineage ?? "")).toBe(true);
  expect(await watched(7003)).toEqual({ lineage: own.lineage, holes: [] });
  const { folder, manifests } = await app.manifests();
  const [objects = []] = [(await lineagesOf(folder)).get(own.lineage ?? "")];
  const instants = objects.map(({ instant }) => instant);
  expect(instants).toEqual(instants.toSorted((a, b) => a - b));
  const at = new Date(instants.at(-1) as number);
  const target = { kind: "time", at, exclusive: false } as const;
  expect(count((await app.restore(join(app.folder, "named"), { target })).path)).toBe(7003);
  expect((await app.verify(true)).problems).toEqual([]);
  expect(manifests.map((each) => detailsOf(each).log?.lineage)).toEqual([own.lineage, old.lineage]);
});

test("which lineage began last is told by what its backups build on or found there, and by ids alone where that proves nothing", async () => {
  const app = await ledgerApp();
  await Recorder.begin(app);
  const [sound] = (await app.manifests()).manifests as [Manifest];
  const lineage = (hour: number) => `20261128T${hour}0000.000Z-1f2e3d4c`;
  const at = (hour: number, log: object | null, parent: number | null = null): Manifest => ({
    ...sound,
    ...{ id: `20261128T${hour}0001.000Z-full`, type: parent === null ? "full" : "incremental" },
    parent: parent === null ? null : `20261128T${parent}0001.000Z-full`,
    details: { ...sound.details, log: log && { ...detailsOf(sound).log, ...log } },
  });
  const newest = (...all: Manifest[]) => newestLineage(all);
  const [ten, twelve, fourteen] = [10, 12, 14].map((hour) => ({ lineage: lineage(hour) })) as [
    object,
    object,
    object,
  ];
  const found = (hour: number) => ({ previous: { lineage: lineage(hour), segments: 3 } });
  expect(newest(at(10, null))).toBeUndefined();
  expect(newest(at(10, ten), at(12, twelve), at(13, null))).toBe(lineage(12));
  expect(newest(at(10, ten, 14), at(12, null), at(14, fourteen))).toBe(lineage(10));
  expect(newest(at(10, ten, 15), at(14, fourteen), at(15, null, 14))).toBe(lineage(10));
  expect(newest(at(10, ten), at(12, { ...twelve, ...found(14) }), at(14, fourteen))).toBe(
    lineage(12),
  );
  // What another host began meanwhile, while the older one was gone on with.
  const beside = at(13, { ...ten, ...found(12) }, 12);
  expect(newest(at(10, ten), at(12, twelve), beside, at(14, twelve))).toBe(lineage(12));
  expect(newest(at(10, ten, 14), at(12, { ...twelve, ...found(10) }, 10), at(14, twelve))).toBe(
    lineage(10),
  );
});
