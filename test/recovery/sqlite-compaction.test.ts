import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Storage } from "@lifeboat/core";
import { CompactionState, compactLog, sqliteEngine } from "@lifeboat/sqlite";
import Database from "better-sqlite3";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { mergeFrames } from "../../packages/sqlite/src/compact/merge-frames.ts";
import { type LogObject, lineagesOf, noteOf } from "../../packages/sqlite/src/log/objects.ts";
import { logPartFor } from "../../packages/sqlite/src/log.ts";
import { makeLedger, testFolder } from "../support/sqlite.ts";
import { closeHistories, dumpOf, history } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

afterEach(closeHistories);

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

async function ledgerApp(): Promise<SqliteApp> {
  const folder = await testFolder();
  const app = new SqliteApp(folder, join(folder, "app.db"));
  makeLedger(app.path, { pageSize: 512, rows: 1 });
  return app;
}

/** Commits a number at each of these instants, each its own segment, and keeps what it was. */
async function shipAt(app: SqliteApp, recorder: Recorder, instants: readonly number[]) {
  const database = new Database(app.path);
  database.pragma("wal_autocheckpoint = 0");
  const count = database.prepare("UPDATE counter SET v = ?");
  try {
    for (const instant of instants) {
      recorder.clock = () => instant;
      count.run(instant);
      await recorder.ship();
    }
  } finally {
    await history(app, [], { recorder });
    database.close();
  }
}

async function counterAt(app: SqliteApp, at: number): Promise<number> {
  const to = join(app.folder, `to-${at}`);
  const target = { kind: "time", at: new Date(at), exclusive: false } as const;
  const { path } = await app.restore(to, { target });
  const copy = new Database(path, { readonly: true });
  try {
    return copy.prepare("SELECT v FROM counter").pluck().get() as number;
  } finally {
    copy.close();
    await rm(to, { recursive: true });
  }
}

/** The start of the next hour. */
function nextHour(): number {
  return (Math.floor(Date.now() / HOUR) + 1) * HOUR;
}

/** An app that committed once in each of so many seconds of an hour, each commit shipped by itself. */
async function shippedBySecond(count: number) {
  const app = await ledgerApp();
  const recorder = await Recorder.begin(app);
  const first = nextHour();
  const instants = Array.from({ length: count }, (_, second) => first + second * 1000);
  await shipAt(app, recorder, instants);
  /** Of what lies in the log now, by the numbers of segments. */
  const spans = async () =>
    ((await lineagesOf(recorder.folder)).get(recorder.lineage) ?? [])
      .filter(({ kind }) => kind === "frames")
      .map((object) => [object.first, object.last]);
  return { app, recorder, first, instants, spans };
}

test("seconds become minutes without an instant lost, hours and days are skipped over, and verify finds all well", async () => {
  const app = await ledgerApp();
  const recorder = await Recorder.begin(app);
  const start = nextHour();
  // An hour and more of four segments a minute, then a few each hour for two days.
  const instants: number[] = [];
  for (let minute = 0; minute < 70; minute++)
    for (let part = 0; part < 4; part++)
      instants.push(start + minute * MINUTE + part * 15_000 + (minute % 7));
  for (let hour = 2; hour < 50; hour++)
    for (let part = 0; part < 3; part++) instants.push(start + hour * HOUR + part * 20_000);
  await shipAt(app, recorder, instants);
  const state = new CompactionState();
  const done = await compactLog(recorder.folder, recorder.lineage, state, start + 100 * HOUR);
  expect(done.removed).toBe(instants.length);
  const { folder, manifests } = await app.manifests();
  const objects = [...(await lineagesOf(folder)).values()].flat();
  expect(objects.filter(({ kind }) => kind === "frames")).toHaveLength(70 + 48);
  // Hours with more than one minute, and each day.
  expect(objects.filter(({ kind }) => kind === "pages").length).toBeGreaterThanOrEqual(4);

  const last = instants.at(-1) as number;
  const part = await logPartFor(folder, manifests, { kind: "latest" });
  expect(part.instant).toBe(last);
  expect(part.objects.length).toBeLessThan(30);
  // Those of an hour's last minute too, which the hour's summary ends with.
  for (const index of [0, 1, 4, 233, 236, 237, 238, 239, 279, 280, 281, 350, instants.length - 1]) {
    const at = instants[index] as number;
    expect(await counterAt(app, at)).toBe(at);
    if (index < instants.length - 1) expect(await counterAt(app, at + 1)).toBe(at);
  }
  expect(await app.verify(true)).toMatchObject({ ok: true, problems: [] });

  // Nothing to do: nothing is asked of the storage.
  const untouchable = folder.over(
    new Proxy({} as Storage, {
      get: () => {
        throw new Error("the storage was asked");
      },
    }),
  );
  expect(await compactLog(untouchable, recorder.lineage, state, start + 100 * HOUR)).toEqual({
    merged: 0,
    removed: 0,
  });
  // And after a restart nothing is made anew.
  const again = await compactLog(
    folder,
    recorder.lineage,
    new CompactionState(),
    start + 100 * HOUR,
  );
  expect(again).toEqual({ merged: 0, removed: 0 });
});

test("what is of a minute that may still grow stays, and what comes late is merged later", async () => {
  const app = await ledgerApp();
  const recorder = await Recorder.begin(app);
  const start = nextHour();
  await shipAt(app, recorder, [start, start + 1000, start + 2000]);
  const state = new CompactionState();
  const compact = (now: number) => compactLog(recorder.folder, recorder.lineage, state, now);
  expect(await compact(start + 30_000)).toEqual({ merged: 0, removed: 0 });
  // A segment may be under way when the minute ends.
  expect(await compact(start + 69_000)).toEqual({ merged: 0, removed: 0 });
  expect(await compact(start + 75_000)).toEqual({ merged: 1, removed: 3 });
  await shipAt(app, recorder, [start + 50_000]);
  state.shipped(recorder.names.at(-1) as string);
  expect(await compact(start + 90_000)).toEqual({ merged: 1, removed: 2 });
  for (const at of [start, start + 1000, start + 2000, start + 50_000])
    expect(await counterAt(app, at)).toBe(at);
});

test("nothing is merged over a segment that is gone: the hole stays one, and what lies before it is restored", async () => {
  const { app, recorder, first, spans } = await shippedBySecond(5);
  const { folder, lineage } = recorder;
  await folder.removeLog(recorder.names[2] as string);
  await compactLog(folder, lineage, new CompactionState(), first + 2 * HOUR);
  expect(await spans()).toEqual([
    [1, 2],
    [4, 5],
  ]);
  expect(await counterAt(app, first + 1000)).toBe(first + 1000);
  await expect(app.restore(join(app.folder, "latest"))).rejects.toMatchObject({ code: "LOG_HOLE" });
});

test("of spans that overlap none goes that another one does not hold whole", async () => {
  const { app, recorder, first, instants, spans } = await shippedBySecond(4);
  const { folder, lineage } = recorder;
  const objects = (await lineagesOf(folder)).get(lineage) ?? [];
  for (const run of [objects.slice(0, 3), objects.slice(1)]) await mergeFrames(folder, run);
  // Not over yet: nothing is merged.
  await compactLog(folder, lineage, new CompactionState(), first + 5000);
  expect(await spans()).toEqual([
    [1, 3],
    [2, 4],
  ]);
  for (const at of instants) expect(await counterAt(app, at)).toBe(at);
});

test("where one object would tell of more looks than one may, several are made, with all their instants", async () => {
  const { app, recorder, first, instants, spans } = await shippedBySecond(5);
  const { folder, lineage } = recorder;
  await mergeFrames(folder, (await lineagesOf(folder)).get(lineage) ?? [], 2);
  await compactLog(folder, lineage, new CompactionState(), first + 5000);
  expect(await spans()).toEqual([
    [1, 2],
    [3, 4],
    [5, 5],
  ]);
  for (const at of instants) expect(await counterAt(app, at)).toBe(at);
});

test("a merge that is killed anywhere leaves a log that restores every instant, and the next call finishes it", async () => {
  const app = await ledgerApp();
  const recorder = await Recorder.begin(app);
  const start = nextHour();
  const instants = Array.from({ length: 12 }, (_, n) => start + n * 15_000);
  await shipAt(app, recorder, instants);
  const now = start + 10 * MINUTE;
  for (let step = 0; ; step++) {
    let asked = 0;
    const { storage } = recorder.folder;
    const dying = new Proxy(storage, {
      get(target, member: keyof Storage) {
        const found = target[member];
        if ((member !== "create" && member !== "remove") || typeof found !== "function")
          return typeof found === "function" ? found.bind(target) : found;
        return async (...args: never[]) => {
          asked += 1;
          if (asked > 1) throw new Error("killed");
          return (found as (...all: never[]) => unknown).apply(target, args);
        };
      },
    });
    const outcome = await compactLog(
      recorder.folder.over(dying),
      recorder.lineage,
      new CompactionState(),
      now,
    ).then(
      () => "done",
      (thrown: Error) => thrown.message,
    );
    for (const at of [instants[1], instants[5], instants[11]] as number[])
      expect(await counterAt(app, at)).toBe(at);
    expect((await app.verify(true)).problems).toEqual([]);
    if (outcome === "done") break;
    expect(outcome).toBe("killed");
    expect(step).toBeLessThan(40);
  }
  const objects = [...(await lineagesOf(recorder.folder)).values()].flat();
  expect(objects.filter(({ kind }) => kind === "frames")).toHaveLength(3);
});

test("a backup whose place lies within what was merged since, and merged once more, is a base still", async () => {
  const app = await ledgerApp();
  const recorder = await Recorder.begin(app);
  const { folder, lineage } = recorder;
  const database = new Database(app.path);
  database.pragma("wal_autocheckpoint = 0");
  // All of it within one minute: by the machine's clock it may cross into the next.
  vi.useFakeTimers({ toFake: ["Date"], now: nextHour() });
  onTestFinished(() => void vi.useRealTimers());
  const later = () => vi.setSystemTime(Date.now() + 1000);
  const commit = async () => {
    later();
    database.prepare("UPDATE counter SET v = ?").run(Date.now());
    await recorder.ship();
    later();
  };
  const framesOf = async () => {
    const objects = [...(await lineagesOf(folder)).values()].flat();
    return objects.filter(({ kind }) => kind === "frames");
  };
  await commit();
  const [first] = (await framesOf()) as [LogObject];
  const { start } = await noteOf(folder, first);
  await commit();
  // Each begins the WAL anew: the place of the second lies in a run that no end of what is merged belongs to.
  await app.backupIncrement();
  await commit();
  const { id } = await app.backupIncrement();
  const now = Date.now() + 2 * HOUR;
  for (let count = 0; count < 2; count++) {
    await commit();
    await compactLog(folder, lineage, new CompactionState(), now);
    const [merged, ...others] = (await framesOf()) as [LogObject];
    expect(others).toEqual([]);
    expect((await noteOf(folder, merged)).start).toEqual(start);
  }
  const { manifests } = await app.manifests();
  const part = await logPartFor(folder, manifests, { kind: "latest" });
  expect(part.manifest.id).toBe(id);
  expect(part.objects.length).toBeGreaterThan(0);
  const { path } = await app.restore(join(app.folder, "latest"));
  const dumped = dumpOf(path);
  expect(dumped).toContain(String(database.prepare("SELECT v FROM counter").pluck().get()));
  database.close();
});

/** A folder whose log is merged as one of its objects is read that `meets`. */
function mergedAt(
  recorder: Recorder,
  now: number,
  meets: (...read: Parameters<Storage["read"]>) => boolean,
): Recorder["folder"] {
  const { folder, lineage } = recorder;
  const { storage } = folder;
  const reading = new Proxy(storage, {
    get(target, member: keyof Storage) {
      const found = target[member];
      if (member !== "read") return typeof found === "function" ? found.bind(target) : found;
      return async function* (...args: Parameters<Storage["read"]>) {
        if (meets(...args)) await compactLog(folder, lineage, new CompactionState(), now);
        yield* target.read(...args);
      };
    },
  });
  return folder.over(reading);
}

test("what is merged while it is planned, restored or verified is found in the merged object", async () => {
  const app = await ledgerApp();
  const recorder = await Recorder.begin(app);
  const start = nextHour();
  const ship = async (minute: number) => {
    const instants = [0, 10_000, 20_000].map((more) => start + minute * MINUTE + more);
    await shipAt(app, recorder, instants);
    return instants.at(-1) as number;
  };
  const [engine, signal] = [sqliteEngine({ databases: [] }), new AbortController().signal];
  const { folder, manifests } = await app.manifests();

  const first = await ship(0);
  const planned = mergedAt(recorder, start + 4 * MINUTE, (path) => path.includes("0000000003-"));
  const target = { kind: "latest" } as const;
  expect(await engine.plan(planned, manifests, target, {})).toMatchObject({
    willRecoverTo: { time: new Date(first).toISOString() },
  });

  const second = await ship(5);
  const restored = await engine.restore({
    folder: mergedAt(
      recorder,
      start + 9 * MINUTE,
      (path, range) => range === undefined && path.includes("0000000005-"),
    ),
    plan: await engine.plan(folder, manifests, target, {}),
    to: join(app.folder, "to"),
    ...{ tablespaceMapping: new Map(), tablespaceRoot: null, force: false, fetchCommand: [] },
    ...{ report: () => {}, signal },
  });
  expect(dumpOf(restored.path)).toContain(String(second));

  await ship(10);
  const verified = mergedAt(recorder, start + 14 * MINUTE, (path) => path.includes("0000000008-"));
  expect(await engine.verifyLog(verified, manifests, { deep: false, signal })).toMatchObject({
    problems: [],
  });
  const objects = (await lineagesOf(folder)).get(recorder.lineage) ?? [];
  expect(objects.map(({ first, last }) => [first, last])).toEqual([
    [1, 3],
    [4, 6],
    [7, 9],
  ]);
});
