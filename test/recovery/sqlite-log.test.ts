import { DatabaseFolder, type Manifest } from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { memoryStorage } from "@lifeboat/storage";
import { expect, test } from "vitest";

const engine = sqliteEngine({ databases: [] });

function folderOf(): DatabaseFolder {
  const compression = { level: 1, logLevel: 1 };
  const storage = memoryStorage();
  return new DatabaseFolder({ storage, app: "a", engine: "sqlite", database: "app", compression });
}

const DETAILS = {
  fileName: "app.db",
  mode: "0640",
  owner: { uid: 0, gid: 0, user: null, group: null },
  pageSize: 4096,
  pageCount: 10,
  journalMode: "wal",
  applicationId: 0,
  userVersion: 0,
  sqliteVersion: "3.54.1",
  way: "pin",
  heldMilliseconds: 1,
  copySeconds: 1,
  walBytes: 0,
};

function backupAt(consistentAt: string): Manifest {
  const id = `${consistentAt.replace(/[-:]/g, "")}-full`;
  return { id, consistentAt, type: "full", parent: null, details: DETAILS } as unknown as Manifest;
}

const EARLY = backupAt("2026-11-22T10:00:00.000Z");
const LATE = backupAt("2026-11-22T11:00:00.500Z");

test("each backup is a window of one instant, oldest first", async () => {
  const windows = (await engine.reach(folderOf(), [LATE, EARLY])).windows;
  expect(windows.map(({ from, to, timeline }) => [from, to, timeline])).toEqual([
    [EARLY.consistentAt, EARLY.consistentAt, null],
    [LATE.consistentAt, LATE.consistentAt, null],
  ]);
});

test("latest, immediate, an id and an exact instant choose their backup", async () => {
  const chosen = async (target: Parameters<typeof engine.plan>[2]) => {
    const plan = await engine.plan(folderOf(), [EARLY, LATE], target, {});
    expect(plan.willRecoverTo).toEqual({ time: plan.backups[0].consistentAt, lsn: null });
    expect(plan.fileName).toBe("app.db");
    return plan.backups[0];
  };
  expect(await chosen({ kind: "latest" })).toBe(LATE);
  expect(await chosen({ kind: "immediate" })).toBe(LATE);
  expect(await chosen({ kind: "backup", id: EARLY.id })).toBe(EARLY);
  const at = new Date(EARLY.consistentAt);
  expect(await chosen({ kind: "time", at, exclusive: false })).toBe(EARLY);
});

test("what cannot be had is refused with what can", async () => {
  const plan = (target: Parameters<typeof engine.plan>[2], backups = [EARLY, LATE], options = {}) =>
    engine.plan(folderOf(), backups, target, options);
  const between = { kind: "time", at: new Date("2026-11-22T10:30:00Z"), exclusive: false } as const;
  await expect(plan(between)).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
    kind: "not-found",
    remedy: expect.stringContaining(EARLY.consistentAt),
  });
  await expect(plan({ kind: "latest" }, [])).rejects.toMatchObject({ kind: "not-found" });
  await expect(plan({ kind: "backup", id: "x" })).rejects.toMatchObject({ kind: "not-found" });
  await expect(plan({ kind: "xid", xid: "7", exclusive: false })).rejects.toMatchObject({
    kind: "usage",
  });
  await expect(plan({ kind: "latest" }, [LATE], { timeline: 1 })).rejects.toMatchObject({
    kind: "usage",
  });
  const exactly = { kind: "time", at: new Date(EARLY.consistentAt), exclusive: true } as const;
  await expect(plan(exactly)).rejects.toMatchObject({ code: "TARGET_OUTSIDE_WINDOWS" });
});

test("whatever lies under wal/ and has no name of the log is a problem that names it", async () => {
  const folder = folderOf();
  const options = { deep: false, signal: new AbortController().signal };
  expect(await engine.verifyLog(folder, [], options)).toEqual({
    objects: 0,
    bytes: 0,
    problems: [],
  });
  await folder.storage.create(`${folder.path}/wal/x/1.wal.zst`, Buffer.from("1234"));
  expect(await engine.verifyLog(folder, [], options)).toMatchObject({
    objects: 1,
    bytes: 4,
    problems: [{ object: "a/sqlite/app/wal/x/1.wal.zst", code: "UNKNOWN_OBJECT" }],
  });
});
