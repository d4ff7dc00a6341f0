import type { VerifyReport } from "@lifeboat/core";
import { showProblems } from "./problems.ts";
import { size } from "./units.ts";

export function showVerify({ ok, objects, bytes, problems }: VerifyReport): string {
  const read = `${objects} objects, ${size(bytes)}`;
  if (ok) return `all of the repository is as it was written: ${read}\n`;
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return `${showProblems(problems)}\n${count} in ${read}\n`;
}
