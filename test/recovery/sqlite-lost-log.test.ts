import { rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { drill, list, type Manifest, status, verify, WatchNotes } from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { afterEach, expect, test } from "vitest";
import { detailsOf } from "../../packages/sqlite/src/details.ts";
import { lostOfLog } from "../../packages/sqlite/src/log/lost-segments.ts";
import { lineagesOf } from "../../packages/sqlite/src/log/objects.ts";

import { ledgerApp } from "../support/ledger-app.ts";
import { closeHistories, dumpOf, history } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import type { SqliteApp } from "../support/sqlite-repository.ts";

afterEach(closeHistories);

const { signal } = new AbortController();
const COUNTS = [1, 2, 3].map((v) => `UPDATE counter SET v = ${v}`);

/** A log of three segments behind its backup. */
async function threeSegments() {
  const app = await ledgerApp();
  const { recorder, states } = await history(app, COUNTS);
  const log = join(app.folder, "repository", recorder.folder.path, "wal", recorder.lineage);
  return { app, recorder, states, log, object: `${recorder.folder.path}/wal/${recorder.lineage}` };
}

/** What the verbs say of the log, on this host or, as after a disaster, on another one. */
async function said(app: SqliteApp, onItsHost = false) {
  const directory = onItsHost ? { watchDirectory: join(app.folder, "memory") } : {};
  const engines = [sqliteEngine({ databases: [], ...directory })];
  const asked = { repository: await app.repository(), engines, live: null };
  const { problems, windows } = await list(asked);
  return {
    verified: (await verify({ ...asked, deep: false, signal })).problems,
    listed: problems,
    alerts: (await status(asked)).alerts.filter(({ id }) => id === "log-lost"),
    windows,
  };
}

async function drilledNewest(app: SqliteApp) {
  const repository = await app.repository();
  const engines = [sqliteEngine({ databases: [] })];
  return drill({
    ...{ repository, engines, target: { kind: "latest" }, checks: () => [], keep: false, signal },
  });
}

function loss(object: string, words: string) {
  const problem = { object, code: "LOG_HOLE", message: expect.stringContaining(words) };
  const alert = { severity: "error", summary: expect.stringContaining(words) };
  return { verified: [problem], listed: [problem], alerts: [alert] };
}

const NONE = { verified: [], listed: [], alerts: [] };

test("a log whose folder is gone is named by what a later backup knows of it, and so is one that lost its end", async () => {
  const { app, recorder, states, log, object } = await threeSegments();
  const { id } = await app.backup();
  expect(await said(app)).toMatchObject(NONE);
  const newest = recorder.names.at(-1) as string;
  await rm(`${log.slice(0, -recorder.lineage.length)}${newest}.zst`);
  expect(await said(app)).toMatchObject(
    loss(object, `segments 3 to 3, which were there when backup ${id}`),
  );
  await rm(log, { recursive: true });
  expect(await said(app)).toMatchObject(
    loss(object, `segments 1 to 3, which were there when backup ${id}`),
  );
  // What the backup holds is the newest state all the same.
  const { path } = await app.restore(join(app.folder, "to"));
  expect(dumpOf(path)).toBe(states.at(-1)?.dump);
});

test("segments that are missing before a later backup are named by a list and by status, once each", async () => {
  const { app, recorder, log, object } = await threeSegments();
  await drilledNewest(app);
  await rm(`${log.slice(0, -recorder.lineage.length)}${recorder.names[1]}.zst`);
  const missing = loss(object, "segments 2 to 2: no restore can cross this");
  // Here status says which state is the newest that can be had.
  expect(await said(app)).toMatchObject({ ...missing, alerts: [] });
  await app.backup();
  expect(await said(app)).toMatchObject(missing);
});

test("a damaged object of the log is named by itself, and not as if backups in it were damaged too", async () => {
  const { app, log, recorder } = await threeSegments();
  const object = recorder.folder.logPath(recorder.names[0] as string);
  await truncate(`${log.slice(0, -recorder.lineage.length)}${recorder.names[0]}.zst`, 200);
  expect((await said(app)).verified).toMatchObject([{ object, code: "LOG_OBJECT_INVALID" }]);
  await expect(app.restore(join(app.folder, "to"))).rejects.toMatchObject({
    code: "LOG_OBJECT_INVALID",
    remedy: expect.stringContaining("an instant before it"),
  });
});

test("a lineage that ended is missed by the backup that the next one began with", async () => {
  const { app, log, object } = await threeSegments();
  await Recorder.begin(app);
  const id = (await app.manifests()).manifests.at(-1)?.id;
  expect(await said(app)).toMatchObject(NONE);
  await rm(log, { recursive: true });
  expect(await said(app)).toMatchObject(
    loss(object, `segments 1 to 3, which were there when backup ${id}`),
  );
});

test("a log of which nothing was shipped yet has no folder, and none is missed", async () => {
  const app = await ledgerApp();
  await Recorder.begin(app);
  await app.backup();
  expect((await app.manifests()).manifests).toMatchObject([
    { details: { log: { segments: 0 } } },
    { details: { log: { segments: 0 } } },
  ]);
  expect(await said(app)).toMatchObject(NONE);
});

test("a log that led further once is named by the drill that restored it, and a restore of the newest state tells of it", async () => {
  const { app, log, object } = await threeSegments();
  const drilled = await drilledNewest(app);
  expect(await said(app)).toMatchObject(NONE);
  await rm(log, { recursive: true });
  expect(await said(app)).toMatchObject(loss(object, `the drill ${drilled.id} restored more`));
  const { findings } = await app.restore(join(app.folder, "to"));
  expect(findings).toMatchObject([
    { id: "log-lost", severity: "warning", summary: expect.stringContaining(drilled.id) },
  ]);
});

test("a state that a drill restored is missed where the backup that led to it is gone as well, until there is a newer one", async () => {
  const { app, recorder } = await threeSegments();
  await app.backup();
  const { id, backup } = await drilledNewest(app);
  const object = recorder.folder.path;
  await rm(join(app.folder, "repository", recorder.folder.backupPath(backup)), { recursive: true });
  expect(await said(app)).toMatchObject(loss(object, `the drill ${id} restored the state of`));
  await app.backup();
  expect(await said(app)).toMatchObject(NONE);
  const backups = join(app.folder, "repository", object, "backups");
  await rm(backups, { recursive: true });
  expect((await said(app)).listed).toMatchObject([
    { object, message: expect.stringContaining(`no backup is left, and the drill ${id}`) },
  ]);
});

test("what a listing missed and the next one has is no loss: segments are merged meanwhile", async () => {
  const { app } = await threeSegments();
  const { folder, manifests } = await app.manifests();
  const listed = [...(await lineagesOf(folder))].map(
    ([lineage, objects]) => [lineage, objects.slice(0, 1).concat(objects.slice(2))] as const,
  );
  const witnesses = { drills: [], watch: undefined };
  expect(await lostOfLog(folder, manifests, new Map(listed), witnesses)).toEqual([]);
});

test("a drill of several databases proves what it restored of each, and nothing of another", async () => {
  const { app, object, log } = await threeSegments();
  const { folder, manifests } = await app.manifests();
  const { id, ...record } = await drilledNewest(app);
  const own = { database: "app", backup: record.backup, recoveredTo: record.recoveredTo };
  const other = { ...own, database: "other", recoveredTo: "2099-01-01T00:00:00.000Z" };
  const drills = [{ ...record, id, database: "app, other", databases: [own, other] }];
  const lost = async () =>
    lostOfLog(folder, manifests, await lineagesOf(folder), { drills, watch: undefined });
  expect(await lost()).toEqual([]);
  await rm(log, { recursive: true });
  expect(await lost()).toMatchObject([{ object, message: expect.stringContaining(id) }]);
});

test("how much of a log was stored has to be a number, and the lineage before a lineage", async () => {
  const { manifests } = await (await threeSegments()).app.manifests();
  const [manifest] = manifests as [Manifest];
  const log = manifest.details.log as object;
  const previous = { lineage: "20260101T000000.000Z-00000000", segments: 1 };
  const read = (more: object) =>
    detailsOf({ ...manifest, details: { ...manifest.details, log: { ...log, ...more } } });
  expect(read({ previous }).log).toMatchObject({ previous });
  for (const wrong of [
    { segments: -1 },
    { segments: "1" },
    { previous: null },
    { previous: { ...previous, lineage: "../x" } },
    { previous: { ...previous, segments: 0.5 } },
  ])
    expect(() => read(wrong)).toThrow(/log/);
});

test("a log that its watch shipped is missed on the watch's own host, and one of a repository made anew is not", async () => {
  const { app, recorder, log, object } = await threeSegments();
  const notes = new WatchNotes(join(app.folder, "memory"));
  const leave = (lastSegment: string) => notes.write(recorder.folder, { lastSegment });
  await leave(recorder.names.at(-1) as string);
  expect(await said(app, true)).toMatchObject(NONE);
  await rm(log, { recursive: true });
  expect(await said(app, true)).toMatchObject(loss(object, "segments 1 to 3"));
  expect(await said(app)).toMatchObject(NONE);
  await leave("20200101T000000.000Z-00000000/0000000009-0000000009.20200101T000001.000Z.wal");
  expect(await said(app, true)).toMatchObject(NONE);
});
