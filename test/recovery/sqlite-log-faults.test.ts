import { copyFile, open, readFile, rename, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { formatLogName, parseLogName } from "../../packages/sqlite/src/log/name.ts";
import { ledgerApp } from "../support/ledger-app.ts";
import { isThere } from "../support/sqlite.ts";
import { closeHistories, dumpOf, history } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import type { SqliteApp } from "../support/sqlite-repository.ts";

afterEach(closeHistories);

const COUNTS = [1, 2, 3, 4, 5].map((v) => `UPDATE counter SET v = ${v}`);

/** A log of five segments of one commit each. */
async function fiveSegments() {
  const app = await ledgerApp();
  const { recorder, states } = await history(app, COUNTS);
  expect(recorder.names).toHaveLength(5);
  const file = (name: string) => join(app.folder, "repository", recorder.folder.logPath(name));
  return { app, recorder, states, file, names: recorder.names as [string, ...string[]] };
}

function restoreAt(app: SqliteApp, to: string, at?: number) {
  const target =
    at === undefined
      ? ({ kind: "latest" } as const)
      : ({ kind: "time", at: new Date(at), exclusive: false } as const);
  return app.restore(join(app.folder, to), { target });
}

test.each(["flipped", "cut"])(
  "a segment that was %s is named before anything gets a name, and what lies before it can be had",
  async (how) => {
    const { app, states, file, names } = await fiveSegments();
    const name = names[2] as string;
    if (how === "cut") await truncate(file(name), (await readFile(file(name))).length - 100);
    else {
      const damaged = await open(file(name), "r+");
      await damaged.write(Buffer.from("damage"), 0, 6, 60);
      await damaged.close();
    }
    await expect(restoreAt(app, "to")).rejects.toMatchObject({
      kind: "failed",
      message: expect.stringContaining(name),
    });
    expect(await isThere(join(app.folder, "to"))).toBe(false);
    expect(dumpOf((await restoreAt(app, "before", states[1]?.at)).path)).toBe(states[1]?.dump);
    const { ok, problems } = await app.verify(false);
    expect(ok).toBe(false);
    expect(problems.some(({ object }) => object.includes(name))).toBe(true);
  },
);

test("a hole: the newest state is refused with what is missing, windows end before it, what lies before can be had", async () => {
  const { app, states, file, names } = await fiveSegments();
  await rm(file(names[2] as string));
  await expect(restoreAt(app, "to")).rejects.toMatchObject({
    code: "LOG_HOLE",
    message: expect.stringContaining("segment 3 of"),
  });
  const { folder, manifests } = await app.manifests();
  const { windows, holes } = await app.engine.reach(folder, manifests);
  expect(await holes()).toMatchObject([
    { id: "log-hole", severity: "error", summary: expect.stringContaining("segment 3 of") },
  ]);
  expect(windows.map(({ to }) => to)).toEqual([new Date(states[1]?.at ?? 0).toISOString()]);
  await expect(restoreAt(app, "to", states[3]?.at)).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
  });
  expect(dumpOf((await restoreAt(app, "before", states[1]?.at)).path)).toBe(states[1]?.dump);
  expect((await app.verify(false)).problems).toMatchObject([
    { code: "LOG_HOLE", message: expect.stringContaining("3 to 3") },
  ]);
});

test("a segment that is gone once a restore was planned leaves no older state under the planned instant's name", async () => {
  const { app, file, names } = await fiveSegments();
  const { folder, manifests } = await app.manifests();
  const plan = await app.engine.plan(folder, manifests, { kind: "latest" }, {});
  await rm(file(names.at(-1) as string));
  const to = join(app.folder, "to");
  const { signal } = new AbortController();
  const restoring = app.engine.restore({
    ...{ folder, plan, to, signal, report: () => {}, force: false, fetchCommand: [] },
    ...{ tablespaceMapping: new Map(), tablespaceRoot: null, skipCheck: true },
  });
  await expect(restoring).rejects.toMatchObject({ code: "LOG_CHANGED", kind: "failed" });
  expect(await isThere(to)).toBe(false);
});

test("the first segment is missing: nothing that follows is laid over the backup", async () => {
  const { app, states, file, names } = await fiveSegments();
  await rm(file(names[0]));
  await expect(restoreAt(app, "to")).rejects.toMatchObject({ code: "LOG_HOLE" });
  const { folder, manifests } = await app.manifests();
  const base = manifests[0]?.consistentAt;
  expect((await app.engine.reach(folder, manifests)).windows).toMatchObject([
    { from: base, to: base },
  ]);
  await expect(restoreAt(app, "to", states[2]?.at)).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
  });
  expect((await app.verify(false)).problems).toMatchObject([
    { code: "LOG_HOLE", message: expect.stringContaining("1 to 1") },
  ]);
});

test("two segments in each other's place, and one repeated in another's, are named", async () => {
  const { app, file, names } = await fiveSegments();
  const [, second, third] = names as [string, string, string];
  await rename(file(second), file("aside"));
  await copyFile(file(third), file(second));
  await expect(restoreAt(app, "to")).rejects.toMatchObject({
    code: "LOG_OBJECT_INVALID",
    message: expect.stringContaining(second),
  });
  await rename(file("aside"), file(third));
  await expect(restoreAt(app, "to")).rejects.toMatchObject({ code: "LOG_OBJECT_INVALID" });
  const { problems } = await app.verify(false);
  for (const name of [second, third])
    expect(problems.some(({ object }) => object.includes(name))).toBe(true);
});

test("a segment of another lineage, whole and rightly named, is not tied to the ones before and named", async () => {
  const one = await fiveSegments();
  const other = await fiveSegments();
  const parsed = parseLogName(other.names[2] as string);
  const own = parseLogName(one.names[2] as string);
  if (!parsed || !own) throw new Error("no names");
  // The forger gives it the name of this lineage; its note still says where it is from.
  await rm(one.file(one.names[2] as string));
  const forged = formatLogName({ ...parsed, lineage: own.lineage });
  await copyFile(other.file(other.names[2] as string), one.file(forged));
  await expect(restoreAt(one.app, "to")).rejects.toMatchObject({
    code: expect.stringMatching(/LOG_OBJECT_INVALID|LOG_HOLE/),
  });
  expect(await isThere(join(one.app.folder, "to"))).toBe(false);
});

test("backups that were taken while the log was shipped are bases too, each exact, and the log leads on from them", async () => {
  const app = await ledgerApp();
  const { recorder, states } = await history(app, COUNTS);
  await app.backupIncrement();
  const { states: later } = await history(
    app,
    ["UPDATE counter SET v = 6", "DELETE FROM ledger WHERE seq < 20"],
    { recorder },
  );
  expect(later).toHaveLength(2);
  for (const [index, { at, dump }] of [...states, ...later].entries())
    expect(dumpOf((await restoreAt(app, `to-${index}`, at)).path)).toBe(dump);
  const newest = await restoreAt(app, "latest");
  expect(newest.backup).toMatch(/-incr$/);
  expect(dumpOf(newest.path)).toBe(later[1]?.dump);
  const { folder, manifests } = await app.manifests();
  expect((await app.engine.reach(folder, manifests)).windows).toHaveLength(1);
});

test("a lineage that ended and the next one are two windows, and between them lies nothing", async () => {
  const app = await ledgerApp();
  const first = await history(app, COUNTS.slice(0, 2));
  const database = new Database(app.path);
  database.exec("UPDATE counter SET v = 77");
  database.close();
  const between = Date.now() + 1;
  while (Date.now() <= between) await new Promise((resolve) => setTimeout(resolve, 1));
  const recorder = await Recorder.begin(app, "incremental");
  const second = await history(app, COUNTS.slice(3), { recorder });
  const { folder, manifests } = await app.manifests();
  expect((await app.engine.reach(folder, manifests)).windows).toHaveLength(2);
  await expect(restoreAt(app, "to", between)).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
    kind: "not-found",
  });
  for (const [index, { at, dump }] of [...first.states, ...second.states].entries())
    expect(dumpOf((await restoreAt(app, `to-${index}`, at)).path)).toBe(dump);
  expect(await app.verify(true)).toMatchObject({ ok: true, problems: [] });
});
