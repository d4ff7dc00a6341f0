import type { Manifest } from "@lifeboat/core";
import { afterEach, expect, test, vi } from "vitest";
import { holeFindings } from "../src/log/hole.ts";
import { formatLsn } from "../src/wal/lsn.ts";
import { logName, segmentName, segmentStart } from "../src/wal/segment-name.ts";
import { clusterFolder } from "./cluster-folder.ts";

const SEGMENT = 1 << 20;
afterEach(() => vi.useRealTimers());

/** A backup whose own WAL is one segment. */
function backupIn(number: bigint): Manifest {
  const start = segmentStart(number, SEGMENT);
  const details = {
    ...{ systemIdentifier: "7", serverVersion: 150018, timeline: 1, walSegmentBytes: SEGMENT },
    ...{ startLsn: formatLsn(start + 40n), stopLsn: formatLsn(start + 400n) },
    ...{ transport: "wire", wal: "archive", checksums: true, dataDirectory: null },
    ...{ tablespaces: [], settings: [], owner: null, database: null },
  };
  return { id: `in-${number}`, engine: "postgres", database: "7", details } as unknown as Manifest;
}

test("a hole is told until a backup lies behind it, and not while pushers may still close it", async () => {
  const folder = clusterFolder();
  for (const number of [2n, 3n, 5n, 6n])
    await folder.storeLog(logName(segmentName(1, number, SEGMENT)), async function* () {
      yield Buffer.alloc(40);
    });
  const told = async (...numbers: bigint[]) =>
    (await holeFindings(folder, numbers.map(backupIn))).map(({ summary }) => summary);
  expect(await told(2n)).toEqual([]);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 120_000 });
  expect(await told(2n)).toEqual([
    expect.stringContaining(`WAL segment ${segmentName(1, 4n, SEGMENT)} is missing`),
  ]);
  expect(await told(2n, 5n)).toEqual([]);
  expect(await told()).toEqual([]);
});
