import type { Database } from "better-sqlite3";
import { logEnd } from "../src/capture/change-log.ts";
import { identityColumns, logColumns } from "../src/capture/row-identity.ts";
import { CHANGED_KEYS, ChangedKeys } from "../src/forward/changed-keys.ts";
import type { MigrationPlan } from "../src/plan.ts";

/** The rows of one table that the log names, by the table's place in the plan; each once. */
export interface LoggedRows {
  readonly table: number;
  readonly identities: readonly (readonly unknown[])[];
}

/** What a sync reads from the log after an entry, as JavaScript; null where nothing waits. */
export function loggedChanges(
  db: Database,
  plan: MigrationPlan,
  after = 0n,
): { readonly through: bigint; readonly changes: readonly LoggedRows[] } | null {
  const through = logEnd(db) ?? after;
  if (through <= after) return null;
  const tables = new ChangedKeys(db, plan).read(after, through);
  const changes = [...tables].toSorted().map((table) => {
    const width = plan.tables[table] ? identityColumns(plan.tables[table]).length : 0;
    const keys = db.prepare<[number], unknown[]>(
      `SELECT ${logColumns(width).join(", ")} FROM ${CHANGED_KEYS} WHERE tbl = ?`,
    );
    return { table, identities: keys.raw().safeIntegers().all(table) };
  });
  return { through, changes };
}
