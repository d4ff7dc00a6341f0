import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DatabaseFolder,
  type Manifest,
  type ManifestObject,
  type RestoreRequest,
  type Storage,
} from "@lifeboat/core";
import { postgresEngine } from "@lifeboat/postgres";
import { memoryStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";
import { assertRoom, roomWanted } from "../../packages/postgres/src/restore/target-room.ts";

const PETABYTE = 2 ** 50;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "lifeboat-room-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

function object(name: string, role: string, bytes: number): ManifestObject {
  const digest = { bytes, sha256: "0".repeat(64) };
  return { object: name, role, content: digest, stored: { ...digest, bytes: 100 } };
}

function manifest(
  objects: readonly ManifestObject[],
  changes: { id?: string; version?: number; stopLsn?: string; location?: string } = {},
): Manifest {
  const instant = "2026-11-22T10:15:00.000Z";
  const { id = "20261122T101500.000Z-full", version = 150_000, stopLsn = "0/2000100" } = changes;
  const tablespaces =
    changes.location === undefined
      ? []
      : [{ oid: 16_384, location: changes.location, object: "16384.tar.zst" }];
  return {
    ...({ format: 1, id, app: "app", engine: "postgres", database: "7", type: "full" } as const),
    ...{
      parent: null,
      label: null,
      startedAt: instant,
      finishedAt: instant,
      consistentAt: instant,
    },
    ...{ sourceBytes: 0, storedBytes: 0, tool: "test", objects },
    details: {
      ...{ systemIdentifier: "7", serverVersion: version, timeline: 1, startLsn: "0/2000028" },
      ...{ stopLsn, walSegmentBytes: 1 << 20, transport: "wire", wal: "stream", checksums: true },
      ...{ dataDirectory: "/var/lib/data", tablespaces, settings: [], owner: null, database: null },
    },
  };
}

/** Nothing may be read of a backup that there is no room for. */
function untouchable(): Storage {
  const read = () => {
    throw new Error("was read");
  };
  return { ...memoryStorage(), read, stat: () => Promise.resolve(undefined) } as Storage;
}

function restoring(backup: Manifest, changes: Partial<RestoreRequest> = {}) {
  const compression = { level: 1, logLevel: 1 };
  return postgresEngine({}).restore({
    folder: new DatabaseFolder({
      ...{ storage: untouchable(), app: "app", engine: "postgres", database: "7", compression },
    }),
    plan: {
      backups: [backup],
      target: { kind: "backup", id: backup.id },
      timeline: 1,
      fileName: null,
      willRecoverTo: { time: null, lsn: null },
    },
    to: join(root, "copy"),
    tablespaceMapping: new Map(),
    tablespaceRoot: null,
    force: false,
    fetchCommand: [],
    report() {},
    signal: new AbortController().signal,
    ...changes,
  });
}

const refusal = (path: string) => ({
  code: "TARGET_FULL",
  kind: "refused",
  details: expect.objectContaining({ path }),
});

test("a backup that does not fit is refused before a byte is read or written", async () => {
  const large = manifest([object("base.tar.zst", "data-directory", PETABYTE)]);
  await expect(restoring(large)).rejects.toMatchObject(refusal(join(root, "copy")));
  expect(await readdir(root)).toEqual([]);
});

test("WAL without end between a backup's two positions is refused as well, and not reckoned one by one", async () => {
  const endless = manifest([object("base.tar.zst", "data-directory", 1)], {
    stopLsn: "FFFFFFFF/FFFFFFF0",
  });
  await expect(restoring(endless)).rejects.toMatchObject(refusal(join(root, "copy")));
  expect(await readdir(root)).toEqual([]);
});

test("each tablespace is reckoned where it goes", async ({ skip }) => {
  if (!existsSync("/dev/shm") || (await stat("/dev/shm")).dev === (await stat(root)).dev)
    skip("there is no second file system");
  const shm = await mkdtemp("/dev/shm/lifeboat-room-");
  try {
    const { bavail, bsize } = await statfs(shm);
    const backup = (bytes: number) =>
      manifest(
        [
          object("base.tar.zst", "data-directory", 1 << 20),
          object("16384.tar.zst", "tablespace", bytes),
        ],
        { location: "/srv/fast" },
      );
    const place = join(shm, "fast");
    const tablespaceMapping = new Map([["/srv/fast", place]]);
    const tooLarge = backup(bavail * bsize + 2 ** 30);
    await expect(restoring(tooLarge, { tablespaceMapping })).rejects.toMatchObject(refusal(place));
    expect(await readdir(shm)).toEqual([]);
    // It fits: then it is read.
    await expect(restoring(backup(1 << 20), { tablespaceMapping })).rejects.toThrow("was read");
  } finally {
    await rm(shm, { recursive: true, force: true });
  }
});

test("places on one file system share its room", async () => {
  const { bavail, bsize } = await statfs(root);
  const half = Math.ceil((bavail * bsize) / 2) + 2 ** 28;
  await mkdir(join(root, "a"));
  const a = { place: join(root, "a", "deep", "er"), bytes: half };
  await assertRoom([a]);
  await expect(assertRoom([a, { place: join(root, "b"), bytes: half }])).rejects.toMatchObject(
    refusal(a.place),
  );
});

test("incremental backups are unpacked beside each other, and copied once more where nothing is linked", () => {
  const chain = (version: number) =>
    [
      manifest([object("base.tar.zst", "data-directory", 1000)], { version }),
      manifest([object("base.tar.zst", "data-directory", 10)], { version }),
    ] as const;
  const places = { dataDirectory: "/srv/copy", tablespaces: [] };
  const wal = 1 << 20;
  const bytes = (version: number) =>
    roomWanted([...chain(version)], places).map((each) => each.bytes);
  expect(bytes(180_000)).toEqual([1010 + wal]);
  expect(bytes(170_000)).toEqual([2010 + wal]);
});
