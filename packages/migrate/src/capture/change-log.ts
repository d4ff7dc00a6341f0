import type { Database } from "better-sqlite3";
import type { MigrationPlan } from "../plan.ts";
import { LOG_TABLE } from "../sqlite/own-objects.ts";
import { identityColumns, logColumns } from "./row-identity.ts";

/** The rows of one table that were written since; each once, however often. */
export interface ChangedRows {
  /** The table's place in the plan. */
  readonly table: number;
  /** Values of the key, or the rowid, in the order of `identityColumns`. Texts as the driver reads them. */
  readonly identities: readonly (readonly unknown[])[];
}

export interface ChangeBatch {
  /** The last entry of the batch: the watermark once it is applied. */
  readonly through: bigint;
  readonly entries: number;
  readonly changes: readonly ChangedRows[];
}

/**
 * The next changes after a watermark, or null where there are none. Which came first does not matter: what is applied is
 * the row as it is when read, and one that is absent was deleted.
 * @param limit entries of the log, before those of one row fall together
 */
export function readChanges(
  db: Database,
  plan: MigrationPlan,
  { after, limit }: { readonly after: bigint; readonly limit: number },
): ChangeBatch | null {
  const bounds = db
    .prepare<[bigint, bigint], { through: bigint | null; entries: bigint }>(
      `SELECT max(seq) AS through, count(*) AS entries
       FROM (SELECT seq FROM ${LOG_TABLE} WHERE seq > ? ORDER BY seq LIMIT ?)`,
    )
    .safeIntegers()
    .get(after, BigInt(limit));
  if (!bounds || bounds.through === null) return null;
  const { through } = bounds;
  const changes = plan.tables.flatMap((table, number): ChangedRows[] => {
    const columns = logColumns(identityColumns(table).length).join(", ");
    const identities = db
      .prepare<[bigint, bigint, bigint], unknown[]>(
        `SELECT DISTINCT ${columns} FROM ${LOG_TABLE} WHERE seq > ? AND seq <= ? AND tbl = ?`,
      )
      .raw()
      .safeIntegers()
      .all(after, through, BigInt(number));
    return identities.length === 0 ? [] : [{ table: number, identities }];
  });
  return { through, entries: Number(bounds.entries), changes };
}

/** The last entry of the log; null where it is empty. */
export function logEnd(db: Database): bigint | null {
  const last = db.prepare<[], bigint | null>(`SELECT max(seq) FROM ${LOG_TABLE}`).pluck();
  return last.safeIntegers().get() ?? null;
}

/** Entries that wait after a watermark. */
export function waitingChanges(db: Database, after: bigint): number {
  return Number(
    db
      .prepare<[bigint], bigint | number>(`SELECT count(*) FROM ${LOG_TABLE} WHERE seq > ?`)
      .pluck()
      .get(after) ?? 0,
  );
}

/** Forgets what was applied, but for the last entry: without one SQLite would count from 1 again, below the watermark. */
export function forgetChanges(db: Database, through: bigint): void {
  db.prepare(
    `DELETE FROM ${LOG_TABLE} WHERE seq <= ? AND seq < (SELECT max(seq) FROM ${LOG_TABLE})`,
  ).run(through);
}
