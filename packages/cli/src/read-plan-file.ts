import { readFile } from "node:fs/promises";
import { LifeboatError, reasonOf } from "@lifeboat/core/errors";
import { type ReviewedPlan, readReviewedPlan } from "@lifeboat/migrate";

/**
 * The plan that `migrate plan --out` has written.
 * @throws LifeboatError `PLAN_UNREADABLE`, `PLAN_CHANGED` (both usage)
 */
export async function readPlanFile(file: string): Promise<ReviewedPlan> {
  return readReviewedPlan(await textOf(file), file);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new LifeboatError({
      code: "PLAN_UNREADABLE",
      kind: "usage",
      message: `the plan ${file} can't be read: ${reasonOf(cause)}`,
      remedy: "give the file that lifeboat migrate plan --out has written",
      cause,
    });
  }
}
