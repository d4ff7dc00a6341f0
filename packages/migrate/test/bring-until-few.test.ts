import { expect, test } from "vitest";
import { bringUntilFew } from "../src/cutover/bring-until-few.ts";
import type { Forward } from "../src/forward/forward.ts";
import { SyncTally } from "../src/forward/sync-tally.ts";

/**
 * How many looks it takes where they bring so many rows, the last again and again, and how close it came; null is one that finds
 * nothing.
 */
async function looks(
  ...written: readonly (number | null)[]
): Promise<[looks: number, closest: number]> {
  let count = 0;
  let found = 0;
  const look = async () => {
    const rows = written[Math.min(count++, written.length - 1)] as number | null;
    if (rows === null) return null;
    found++;
    return { through: 0n, tables: [{ name: "t", written: rows, removed: 0 }] };
  };
  const tally = new SyncTally();
  const { signal } = new AbortController();
  const closest = await bringUntilFew({ look } as unknown as Forward, tally, () => {}, signal);
  expect(tally.batches).toBe(found);
  return [count, closest];
}

test("a cutover has come close once a look brings few rows", async () => {
  expect(await looks(90_000, 4_000, 900, 250, 199)).toEqual([5, 199]);
  expect(await looks(90_000, null)).toEqual([2, 0]);
});

test("a cutover waits no longer once no look brings fewer rows any more", async () => {
  expect(await looks(90_000, 4_000, 900, 1_000)).toEqual([23, 900]);
  expect(await looks(90_000, 4_000, 900)).toEqual([23, 900]);
});

test("a cutover begins its freeze at no look that brought far more than the closest", async () => {
  expect(await looks(500, ...Array<number>(30).fill(5_000), 1_000)).toEqual([32, 500]);
  const near = Array<number>(21).fill(1_000);
  expect(await looks(900, ...near.with(19, 9_000).with(20, 1_801), 1_800)).toEqual([23, 900]);
});

test("a cutover that is stopped looks no more", async () => {
  const stopped = AbortSignal.abort(new Error("stopped"));
  const look = () => Promise.reject(new Error("looked"));
  const brought = bringUntilFew({ look } as unknown as Forward, new SyncTally(), () => {}, stopped);
  await expect(brought).rejects.toThrow("stopped");
});

test("a cutover waits for as long as looks bring fewer and fewer rows, though not without end", async () => {
  const falling = Array.from({ length: 1_000 }, (_, n) => 90_000 - n);
  expect(await looks(...falling)).toEqual([200, 90_000 - 199]);
});
