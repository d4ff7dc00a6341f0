import { expect, test } from "vitest";
import { bringUntilFew } from "../src/cutover/bring-until-few.ts";
import type { Forward } from "../src/forward/forward.ts";
import { SyncTally } from "../src/forward/sync-tally.ts";

/** How many looks it takes where they bring so many rows, the last again and again; and how close it came. */
async function looks(...written: readonly number[]): Promise<[looks: number, closest: number]> {
  let count = 0;
  const look = async () => {
    const rows = written[Math.min(count++, written.length - 1)] as number;
    return { through: 0n, tables: [{ name: "t", written: rows, removed: 0 }] };
  };
  const tally = new SyncTally();
  const { signal } = new AbortController();
  const closest = await bringUntilFew({ look } as unknown as Forward, tally, () => {}, signal);
  expect(tally.batches).toBe(count);
  return [count, closest];
}

test("a cutover has come close once a look brings few rows", async () => {
  expect(await looks(90_000, 4_000, 900, 250, 199)).toEqual([5, 199]);
});

test("a cutover waits no longer once no look brings fewer rows any more", async () => {
  expect(await looks(90_000, 4_000, 900, 1_000)).toEqual([23, 900]);
});

test("a cutover waits for as long as looks bring fewer and fewer rows, though not without end", async () => {
  const falling = Array.from({ length: 1_000 }, (_, n) => 90_000 - n);
  expect(await looks(...falling)).toEqual([200, 90_000 - 199]);
});

test("a cutover's last look is one of the closer ones, whatever a busy machine makes of one in a while", async () => {
  const near = Array.from({ length: 21 }, () => 1_000);
  expect(await looks(900, ...near.with(19, 9_000).with(20, 1_801), 1_800)).toEqual([23, 900]);
});
