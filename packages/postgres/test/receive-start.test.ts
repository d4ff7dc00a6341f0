import { expect, test } from "vitest";
import { receiveStart, type StartRequest } from "../src/wal/receive-start.ts";
import { logName, segmentName } from "../src/wal/segment-name.ts";
import { partName } from "../src/wal/segment-part.ts";
import { clusterFolder } from "./cluster-folder.ts";

const SEGMENT = 1 << 20;
const at = (segment: number) => BigInt(segment) << 20n;
const named = (timeline: number, segment: number) =>
  segmentName(timeline, BigInt(segment), SEGMENT);

const HISTORY_2 = "1\t0/380000\tno recovery target specified\n";
const HISTORY_3 = `${HISTORY_2}2\t0/580000\tno recovery target specified\n`;

/** Where a receiver begins: its timeline, its segment, up to where it counts as shipped, and what it clears away. */
async function startIn(
  files: Readonly<Record<string, string>>,
  request: Omit<StartRequest, "folder" | "segmentBytes" | "overHole"> & { overHole?: boolean },
) {
  const folder = clusterFolder();
  for (const [name, content] of Object.entries(files))
    await folder.storeLog(name, async function* () {
      yield Buffer.from(content);
    });
  const asked = { folder, segmentBytes: SEGMENT, overHole: false, ...request };
  const { timeline, position, shipped } = await receiveStart(asked);
  return [timeline, Number(position >> 20n), shipped.upTo - position, shipped.parts];
}

function whole(timeline: number, ...segments: number[]): Record<string, string> {
  return Object.fromEntries(segments.map((each) => [logName(named(timeline, each)), "x"]));
}

test("it begins behind the last whole segment, also before what the slot keeps, but not over a hole", async () => {
  const files = whole(1, 1, 2);
  const request = { timeline: 1, kept: at(6) };
  expect(await startIn(files, request)).toEqual([1, 3, 0n, []]);
  expect(await startIn(files, { ...request, overHole: true })).toEqual([1, 6, 0n, []]);
  expect(await startIn({}, request)).toEqual([1, 6, 0n, []]);
});

test("it begins at what the archive has not before what the slot keeps, though it has what is behind", async () => {
  const files = whole(1, 1, 2, 4, 7);
  expect(await startIn(files, { timeline: 1, kept: at(2) + 5n })).toEqual([1, 3, 0n, []]);
  expect(await startIn(files, { timeline: 1, kept: at(5) })).toEqual([1, 5, 0n, []]);
  // The slot was made anew, and a backup has streamed the segment for itself: what lies between may still be there.
  const anew = { timeline: 1, kept: at(7) };
  expect(await startIn(files, anew)).toEqual([1, 5, 0n, []]);
  expect(await startIn(files, { ...anew, overHole: true })).toEqual([1, 8, 0n, []]);
});

test("a part of its segment counts as shipped, and is cleared away with older ones; later ones stay", async () => {
  const older = partName(named(1, 2), 70);
  const [shorter, own] = [partName(named(1, 3), 80), partName(named(1, 3), 4096)];
  const later = partName(named(1, 5), 90);
  const files = { ...whole(1, 1, 2), [older]: "x", [shorter]: "x", [own]: "x", [later]: "x" };
  expect(await startIn(files, { timeline: 1, kept: at(3) })).toEqual([
    ...[1, 3, 4096n],
    [older, shorter, own],
  ]);
});

test("the part before a hole stays: nothing else will ever be there of its segment", async () => {
  const part = partName(named(1, 3), 4096);
  const request = { timeline: 1, kept: at(6), overHole: true };
  expect(await startIn({ ...whole(1, 1, 2), [part]: "x" }, request)).toEqual([1, 6, 0n, []]);
});

test("on a new timeline it begins where that left the old one, whatever an old primary wrote on", async () => {
  const files = { ...whole(1, 1, 2, 3, 4, 9), "00000002/00000002.history": HISTORY_2 };
  expect(await startIn(files, { timeline: 2, kept: at(8) })).toEqual([2, 3, 0n, []]);
});

test("after two promotions it begins behind what is stored of the newest timeline, on the one that the server is on", async () => {
  const files = { ...whole(1, 1, 2), ...whole(2, 3, 4), "00000003/00000003.history": HISTORY_3 };
  expect(await startIn(files, { timeline: 3, kept: at(7) })).toEqual([3, 5, 0n, []]);
});
