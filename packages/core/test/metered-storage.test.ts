import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { meteredStorage } from "../src/metered-storage.ts";
import type { Storage } from "../src/storage.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("what several readers wait for at once is waited for once: a fetch takes no longer than the restore that it is part of", async () => {
  const [early, late] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  async function* read(path: string) {
    await (path === "early" ? early : late).promise;
    yield Buffer.from("content");
  }
  const { storage, seconds } = meteredStorage({ read } as unknown as Storage);
  const reads = ["early", "late"].map((path) => Array.fromAsync(storage.read(path)));
  vi.advanceTimersByTime(3000);
  early.resolve();
  await reads[0];
  vi.advanceTimersByTime(2000);
  late.resolve();
  await reads[1];
  // Nobody waits for this one.
  vi.advanceTimersByTime(60_000);
  expect(seconds()).toBe(5);
});
