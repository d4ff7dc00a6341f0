import { afterEach, expect, test, vi } from "vitest";
import { CopyBackPace } from "../src/watch/copy-back-pace.ts";

afterEach(() => void vi.useRealTimers());

test("a WAL that could not be copied back is tried again after twice the time, up to a second, and soon once it could", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const pace = new CopyBackPace();
  expect(pace.isDue).toBe(true);
  const dueAfter = (completed: boolean) => {
    pace.tried(completed);
    const tried = performance.now();
    while (!pace.isDue) vi.advanceTimersByTime(50);
    return performance.now() - tried;
  };
  expect([false, false, false, false, false, true, false].map(dueAfter)).toEqual([
    200, 400, 800, 1000, 1000, 100, 200,
  ]);
});
