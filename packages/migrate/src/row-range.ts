import type { Database } from "better-sqlite3";
import type { PlannedTable } from "./plan.ts";
import { quoteName } from "./quote.ts";

/** Texts and BLOBs that SQLite joins in one go stay far below its limit of 10^9 bytes, and memory small. */
const JOIN_BYTES = 4 * 1024 * 1024;
const MAX_ROWS = 4000;

/** How many rows are joined at once; 1 where rows are so long that joining would only cost memory. */
export function rowsAtOnce(table: PlannedTable): number {
  return Math.max(1, Math.min(MAX_ROWS, Math.floor(JOIN_BYTES / Math.max(1, table.maxRowBytes))));
}

/** Ranges of rowids that hold at most `rows` rows each, in ascending order, both ends included. */
export function* rowidRanges(
  db: Database,
  table: string,
  rowid: string,
  rows: number,
): Generator<[bigint, bigint]> {
  const key = quoteName(rowid);
  const next = db
    .prepare<[bigint], [bigint | null, bigint | null]>(
      `SELECT min(k), max(k) FROM (SELECT ${key} AS k FROM ${quoteName(table)}
       WHERE ${key} >= ? ORDER BY ${key} LIMIT ${rows})`,
    )
    .raw();
  let from = -(2n ** 63n);
  for (;;) {
    const [low, high] = next.get(from) ?? [null, null];
    if (low === null || high === null) return;
    yield [low, high];
    if (high === 2n ** 63n - 1n) return;
    from = high + 1n;
  }
}
