import { isDeepStrictEqual } from "node:util";
import { LifeboatError } from "@lifeboat/core";
import type { CompareInput } from "../compare/compare-input.ts";
import { compareTable } from "../compare.ts";
import type { MigrationPlan } from "../plan.ts";
import type { Source } from "../source.ts";

/**
 * Lets go of the snapshot that was loaded and sees whether the database still holds the same. SQLite tells
 * cheaply that nothing was committed; where it doesn't, which a mere checkpoint may cause, all rows
 * are compared once more.
 * @throws LifeboatError `SOURCE_CHANGED`
 */
export async function assertQuiet(
  source: Source,
  plan: MigrationPlan,
  compared: Omit<CompareInput, "table">,
): Promise<void> {
  if (!source.release().touched) return;
  const same = isDeepStrictEqual(source.hold(), source.schema) && (await sameRows(plan, compared));
  if (same && !source.release().touched) return;
  throw new LifeboatError({
    code: "SOURCE_CHANGED",
    message: `the SQLite database ${plan.source.file} changed while it was loaded; nothing was kept in Postgres`,
    remedy: "stop what writes to it, then run `lifeboat migrate load` again",
    details: { file: plan.source.file },
  });
}

async function sameRows(
  plan: MigrationPlan,
  compared: Omit<CompareInput, "table">,
): Promise<boolean> {
  for (const table of plan.tables)
    if (!(await compareTable({ ...compared, table })).equal) return false;
  return true;
}
