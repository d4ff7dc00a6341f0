import { expect, test } from "vitest";
import { newestSegment, readLogArchive, TimelinePath } from "../src/wal/log-archive.ts";
import { logName } from "../src/wal/segment-name.ts";
import { partName } from "../src/wal/segment-part.ts";
import { clusterFolder } from "./cluster-folder.ts";

const SEGMENT = 1 << 20;
/** In the midst of segment 3. */
const LEFT_AT = 0x30_8000n;

const folder = clusterFolder();
const path = new TimelinePath(
  {
    folder,
    segmentBytes: SEGMENT,
    segments: new Map(),
    parts: new Map(),
    histories: new Map([[2, [{ timeline: 1, switchPoint: LEFT_AT }]]]),
  },
  2,
);

test("what was written to a timeline after it was left lies on no way to the next one", () => {
  expect(path.passes(1, LEFT_AT)).toBe(true);
  // A backup of the old primary that ended there is none of the new timeline's, whatever segments there are.
  expect(path.passes(1, LEFT_AT + 1n)).toBe(false);
  expect(path.passes(3, 0n)).toBe(false);
  expect(path.passes(2, LEFT_AT + 1n)).toBe(true);
});

test("the segment in which a timeline was left is read from the newer one", () => {
  expect([2n, 3n, 4n].map((number) => path.segment(number).timeline)).toEqual([1, 2, 2]);
});

test("a part that a receiver left beside the whole segment, or behind it, does not count", async () => {
  const store = (name: string) =>
    folder.storeLog(name, async function* () {
      yield Buffer.alloc(40);
    });
  const [whole, next] = ["000000010000000000000003", "000000010000000000000004"] as const;
  for (const name of [logName(whole), partName(whole, 100)]) await store(name);
  expect((await readLogArchive(folder, SEGMENT)).parts).toEqual(new Map());
  await store(partName(next, 300));
  await store(partName(next, 200));
  const archive = await readLogArchive(folder, SEGMENT);
  expect(archive.parts.get(1)).toMatchObject({ number: 4n, offset: 300 });
  expect(newestSegment(archive, 1)).toBe(4n);
});
