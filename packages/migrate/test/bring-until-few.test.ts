import { expect, test } from "vitest";
import { bringUntilFew } from "../src/cutover/bring-until-few.ts";
import type { Forward } from "../src/forward/forward.ts";
import { SyncTally } from "../src/forward/sync-tally.ts";

/** How many looks it takes where they bring so many rows, the last again and again; null is one that finds nothing. */
async function looks(...written: readonly (number | null)[]): Promise<number> {
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
  await bringUntilFew({ look } as unknown as Forward, tally, () => {}, signal);
  expect(tally.batches).toBe(found);
  return count;
}

test("a cutover has come close once a look brings few rows", async () => {
  expect(await looks(90_000, 4_000, 900, 250, 199)).toBe(5);
  expect(await looks(90_000, null)).toBe(2);
});

test("a cutover waits no longer once no look brings fewer rows any more", async () => {
  expect(await looks(90_000, 4_000, 900, 1_000)).toBe(23);
  expect(await looks(90_000, 4_000, 900)).toBe(23);
});

test("a cutover begins its freeze at no look that brought far more than the closest", async () => {
  expect(await looks(500, ...Array<number>(30).fill(5_000), 1_000)).toBe(32);
});

test("a cutover that is stopped looks no more", async () => {
  const stopped = AbortSignal.abort(new Error("stopped"));
  const look = () => Promise.reject(new Error("looked"));
  const brought = bringUntilFew({ look } as unknown as Forward, new SyncTally(), () => {}, stopped);
  await expect(brought).rejects.toThrow("stopped");
});

test("a cutover waits for as long as looks bring fewer and fewer rows, though not without end", async () => {
  const falling = Array.from({ length: 1_000 }, (_, n) => 90_000 - n);
  expect(await looks(...falling)).toBe(200);
});
