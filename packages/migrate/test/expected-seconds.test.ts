import { expect, it } from "vitest";
import { expectedSeconds } from "../src/expected-seconds.ts";
import type { PlannedTable } from "../src/plan.ts";

const table = (rows: number, bytes: number, indexes: number) =>
  ({
    rows,
    bytes,
    constraints: [],
    indexes: Array(indexes).fill({}),
  }) as unknown as PlannedTable;

it("grows with rows, with bytes where rows are wide, and with indexes", () => {
  const seconds = [
    table(0, 0, 0),
    table(5_000_000, 235e6, 0),
    table(5_000_000, 235e6, 2),
    table(1_000_000, 1.3e9, 0),
  ].map((one) => expectedSeconds([one]));
  // 5 M: 8.3 profile, 10 copy, 21.7 comparison; 10 for two indexes. 1.3 GB: 5.7, 13, 13.
  expect(seconds).toEqual([1, 42, 52, 33]);
  expect(expectedSeconds([table(5_000_000, 235e6, 0), table(1_000_000, 1.3e9, 0)])).toBe(73);
});
