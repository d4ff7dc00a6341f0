import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DrillRecord,
  list,
  type MigrationRecord,
  Repository,
  RepositoryMemory,
  recordedLive,
  type Storage,
  sealedJson,
  status,
  verify,
} from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";

const signal = new AbortController().signal;
const startedAt = "2026-11-22T10:15:00.123Z";
const finishedAt = "2026-11-22T10:16:00.123Z";
const drillId = "20261122T101500.123Z";
const migrationId = `${drillId}-cutover`;
const later = "20991231T000000.000Z";

const drill: DrillRecord = {
  ...{ ok: true, id: drillId, app: "documint", engine: "sqlite", database: "app" },
  ...{ backup: "20261122T101500.123Z-full", startedAt, finishedAt, recoveredTo: null },
  ...{ seconds: { fetch: 0, restore: 0, replay: 0, checks: 0, total: 0 }, checks: [] },
};
const migration: MigrationRecord = {
  ...{ ok: true, id: migrationId, app: "documint", migration: "1", verb: "cutover", user: "root" },
  ...{ host: "db", startedAt, finishedAt, seconds: 60, live: "postgres", steps: [], details: {} },
};

let state: string;
let storage: Storage;
let repository: Repository;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "lifeboat-moved-"));
  storage = memoryStorage();
  repository = await Repository.open({
    ...{ storage, app: "documint", memory: new RepositoryMemory(state), mode: "write" },
  });
});
afterEach(() => rm(state, { recursive: true }));

const lay = (path: string, record: object) =>
  storage.create(path, Buffer.from(sealedJson(record as Record<string, unknown>)));

/** What verify names, and a list as well. */
const problems = async () => {
  const { problems: verified } = await verify({ repository, engines: [], deep: false, signal });
  expect((await list({ repository, engines: [], live: null })).problems).toEqual(verified);
  return verified.map(({ object, code }) => [object, code]);
};

test("records in their own places are obeyed", async () => {
  await lay(`documint/drills/${drillId}.json`, drill);
  await lay(`documint/migrations/${migrationId}.json`, migration);
  const [drills, migrations] = [await repository.drills(), await repository.migrationRecords()];
  expect(drills.records).toEqual([drill]);
  expect(recordedLive(migrations.records)).toBe("postgres");
  expect([...drills.problems, ...migrations.problems]).toEqual([]);
});

test.each<[string, string, object]>([
  ["under a later name", `migrations/${later}-cutover.json`, migration],
  ["in a folder below", `migrations/below/${migrationId}.json`, migration],
  ["of another app", `migrations/${migrationId}.json`, { ...migration, app: "flagbit" }],
  [
    "named for another time than its own",
    `migrations/${later}-cutover.json`,
    { ...migration, id: `${later}-cutover` },
  ],
  [
    "whose name climbs",
    `migrations/a/b/${migrationId}.json`,
    { ...migration, id: `a/b/${migrationId}` },
  ],
])("a migration's record %s moves no product, and verify names it", async (_, place, record) => {
  await lay(`documint/${place}`, record);
  const { records } = await repository.migrationRecords();
  expect(recordedLive(records)).toBeNull();
  expect(await problems()).toEqual([[`documint/${place}`, "MANIFEST_CORRUPT"]]);
});

test.each<[string, string, object]>([
  ["under a later name", `drills/${later}.json`, drill],
  ["in a folder below", `drills/below/${drillId}.json`, drill],
  ["of another app", `drills/${drillId}.json`, { ...drill, app: "flagbit" }],
  ["named for another time than its own", `drills/${later}.json`, { ...drill, id: later }],
])("a drill's record %s proves nothing, and verify names it", async (_, place, record) => {
  await lay(`documint/${place}`, record);
  expect((await repository.drills()).records).toEqual([]);
  const said = await status({ repository, engines: [], live: null });
  expect(said.lastDrill).toBeNull();
  expect(await problems()).toEqual([[`documint/${place}`, "MANIFEST_CORRUPT"]]);
});
