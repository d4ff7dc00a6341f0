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

/**
 * Ranges of rowids that hold at most `rows` rows each, in ascending order, both ends included: of what the table holds as it is asked
 * for the first. A product that adds rows faster than they are walked is not run after.
 */
export function* rowidRanges(
  db: Database,
  table: string,
  rowid: string,
  rows: number,
): Generator<[bigint, bigint]> {
  const key = quoteName(rowid);
  const name = quoteName(table);
  const [first, last] = db
    .prepare<[], [bigint | null, bigint | null]>(
      `SELECT (SELECT min(${key}) FROM ${name}), (SELECT max(${key}) FROM ${name})`,
    )
    .raw()
    .get() ?? [null, null];
  if (first === null || last === null) return;
  // Steps over the rows between without a look at what is in them.
  const end = db
    .prepare<[bigint, bigint], bigint>(
      `SELECT ${key} FROM ${name} WHERE ${key} >= ? AND ${key} <= ? ORDER BY ${key} LIMIT 1 OFFSET ${rows - 1}`,
    )
    .pluck();
  for (let from = first; from <= last; ) {
    const to = end.get(from, last) ?? last;
    yield [from, to];
    from = to + 1n;
  }
}
