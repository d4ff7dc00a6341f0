import { expect, test } from "vitest";
import { GateTimes } from "../src/watch/gate-times.ts";

test("half, 99 of 100 and the worst of the times at the gate are told, to a tenth of a millisecond", () => {
  const times = new GateTimes();
  expect(times.summary()).toEqual({ count: 0, p50: 0, p99: 0, worst: 0 });
  // In no order: the worst came first.
  for (let n = 100; n >= 1; n--) times.add(n + 0.04);
  expect(times.summary()).toEqual({ count: 100, p50: 50, p99: 99, worst: 100 });
});

test("of more than are kept the percentiles are of the latest, and the worst is of all", () => {
  const times = new GateTimes();
  times.add(900);
  for (let n = 0; n < 10_000; n++) times.add(5);
  for (let n = 0; n < 10_000; n++) times.add(2);
  expect(times.summary()).toEqual({ count: 20_001, p50: 2, p99: 2, worst: 900 });
});
