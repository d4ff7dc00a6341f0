import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ownProcessMark, processOfMarkIsGone } from "../src/process-mark.ts";

const [place, pid, start] = ownProcessMark().split("-") as [string, string, string];

test("a process that lives is not gone, and one that had its number before is", () => {
  expect(processOfMarkIsGone(ownProcessMark())).toBe(false);
  expect(processOfMarkIsGone(`${place}-${pid}-${Number(start) + 1}`)).toBe(true);
  const { pid: ended } = spawnSync("true");
  expect(processOfMarkIsGone(`${place}-${ended}-1`)).toBe(true);
});

test("where the system hides when a living process began, it is not taken for gone", () => {
  expect(processOfMarkIsGone(`${place}-${pid}-0`)).toBe(false);
});

test("of another machine, or no mark at all, nothing is taken for gone", () => {
  expect(processOfMarkIsGone(`${"0".repeat(16)}-1-1`)).toBe(false);
  expect(processOfMarkIsGone("../../etc")).toBe(false);
});
