import type { DatabaseFolder, Manifest } from "@lifeboat/core";
import { afterEach, expect, test, vi } from "vitest";
import { logReach } from "../src/log/reach.ts";
import { formatLsn } from "../src/wal/lsn.ts";
import { logName, segmentName, segmentStart } from "../src/wal/segment-name.ts";
import { clusterFolder } from "./cluster-folder.ts";

const SEGMENT = 1 << 20;
afterEach(() => vi.useRealTimers());

/** A backup whose own WAL is one segment, and that has just been taken. */
function backupIn(number: bigint, wal: "archive" | "stream" = "archive"): Manifest {
  const start = segmentStart(number, SEGMENT);
  const details = {
    ...{ systemIdentifier: "7", serverVersion: 150018, timeline: 1, walSegmentBytes: SEGMENT },
    ...{ startLsn: formatLsn(start + 40n), stopLsn: formatLsn(start + 400n) },
    ...{ transport: "wire", wal, checksums: true, dataDirectory: null },
    ...{ tablespaces: [], settings: [], owner: null, database: null },
  };
  const now = Date.now();
  const own = { id: `in-${number}`, engine: "postgres", database: "7", details };
  const [startedAt, finishedAt] = [now - 60_000, now].map((at) => new Date(at).toISOString());
  return { ...own, startedAt, finishedAt } as unknown as Manifest;
}

async function store(folder: DatabaseFolder, ...numbers: bigint[]) {
  for (const number of numbers)
    await folder.storeLog(logName(segmentName(1, number, SEGMENT)), async function* () {
      yield Buffer.alloc(40);
    });
  return folder;
}

const holesOf = async (folder: DatabaseFolder, backups: readonly Manifest[]) =>
  (await logReach(folder, backups, async () => false)).holes();

const later = () => vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 120_000 });

test("a hole is told until a backup lies behind it, and not while pushers may still close it", async () => {
  const folder = await store(clusterFolder(), 2n, 3n, 5n, 6n);
  const told = async (...numbers: bigint[]) =>
    (
      await holesOf(
        folder,
        numbers.map((number) => backupIn(number)),
      )
    ).map(({ summary }) => summary);
  expect(await told(2n)).toEqual([]);
  later();
  expect(await told(2n)).toEqual([
    expect.stringContaining(`WAL segment ${segmentName(1, 4n, SEGMENT)} is missing`),
  ]);
  expect(await told(2n, 5n)).toEqual([]);
  expect(await told()).toEqual([]);
});

test("what a backup streams for itself, under way or broken off, leaves no hole where nothing is archived", async () => {
  const streamed = await store(clusterFolder(), 2n);
  const archived = await store(clusterFolder(), 2n);
  const backup = backupIn(2n, "stream");
  later();
  await store(streamed, 5n, 6n);
  await store(archived, 3n, 5n, 6n);
  later();
  expect(await holesOf(streamed, [backup])).toEqual([]);
  expect(await holesOf(archived, [backup])).toHaveLength(1);
});

test("a stray segment with the greatest number is no search without an end", async () => {
  const folder = await store(clusterFolder(), 2n, 3n, (1n << 44n) - 1n);
  later();
  expect(await holesOf(folder, [backupIn(2n)])).toHaveLength(1);
});
