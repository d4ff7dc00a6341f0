import { LifeboatError } from "@lifeboat/core";
import type { TableComparison } from "../compare.ts";

/**
 * @throws LifeboatError `LOAD_DIFFERS` when Postgres does not hold what SQLite holds: a defect of the mapping
 * or of a translated expression, which must not be committed
 */
export function assertComparedEqual(compared: TableComparison): void {
  if (compared.equal) return;
  const sample = compared.differences
    .slice(0, 5)
    .map((one) => one.key)
    .join("; ");
  throw new LifeboatError({
    code: "LOAD_DIFFERS",
    message: `table ${compared.name} differs after its load in ${compared.differing} rows (${sample}); nothing was kept in Postgres`,
    remedy:
      "a generated column or a choice gives other values there: choose another for this table in migrate.columns",
    details: { table: compared.name, differences: compared.differences },
  });
}
