import { setImmediate as nextTurn } from "node:timers/promises";
import type { Report } from "@lifeboat/core";
import {
  aggregatesOf,
  type ColumnProfile,
  emptyProfile,
  mergeInto,
  readAggregates,
} from "./column-profile.ts";
import { quoteName } from "./quote.ts";
import { rowidRanges } from "./row-range.ts";
import type { Source } from "./source.ts";
import type { SqliteTable } from "./sqlite/schema.ts";

/** What is really stored in a table, whatever its columns were declared as. */
export interface TableProfile {
  readonly rows: number;
  /** Bytes of all values; texts and BLOBs as long as they are, numbers as eight. */
  readonly bytes: number;
  /** No row's texts and BLOBs are longer together; an upper bound, made of the columns' maxima. */
  readonly maxRowBytes: number;
  /** By column name, generated columns included. */
  readonly columns: ReadonlyMap<string, ColumnProfile>;
}

const ROWS_A_TURN = 50_000;
/** A SELECT has at most 2,000 result columns; a column takes some thirty of them. */
const COLUMNS_A_SCAN = 40;

/**
 * Reads every value of a table once (once per {@link COLUMNS_A_SCAN} columns) and counts its classes,
 * limits and shapes. Tables with a rowid are read in turns, so that progress shows and a signal is heard.
 */
export async function profileTable(
  source: Source,
  table: SqliteTable,
  report: Report,
  signal: AbortSignal,
): Promise<TableProfile> {
  const columns = new Map<string, ColumnProfile>();
  let rows = 0;
  for (let first = 0; first < table.columns.length; first += COLUMNS_A_SCAN) {
    const names = table.columns.slice(first, first + COLUMNS_A_SCAN).map((column) => column.name);
    rows = 0;
    for (const name of names) columns.set(name, emptyProfile());
    for (const part of scan(source, table, names)) {
      rows += part.rows;
      for (const [name, profile] of part.columns)
        columns.set(name, mergeInto(columns.get(name) ?? emptyProfile(), profile));
      report({ note: `${table.name}: ${rows} rows read` });
      await nextTurn();
      signal.throwIfAborted();
    }
  }
  return { rows, ...sizeOf([...columns.values()]), columns };
}

function sizeOf(columns: readonly ColumnProfile[]): { bytes: number; maxRowBytes: number } {
  let bytes = 0;
  let maxRowBytes = 0;
  for (const column of columns) {
    bytes += column.bytes + 8 * (column.integers + column.reals);
    maxRowBytes += Math.max(column.maxBytes, 24);
  }
  return { bytes, maxRowBytes };
}

interface Part {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, ColumnProfile>;
}

function* scan(source: Source, table: SqliteTable, names: readonly string[]): Generator<Part> {
  const select = `SELECT count(*), ${names.map((name) => aggregatesOf(quoteName(name))).join(", ")}
    FROM ${quoteName(table.name)}`;
  if (table.rowid === null) {
    yield readPart(source.db.prepare(select).raw().get() as unknown[], names);
    return;
  }
  const rowid = quoteName(table.rowid);
  const range = source.db.prepare(`${select} WHERE ${rowid} >= ? AND ${rowid} <= ?`).raw();
  for (const [from, to] of rowidRanges(source.db, table.name, table.rowid, ROWS_A_TURN))
    yield readPart(range.get(from, to) as unknown[], names);
}

function readPart(row: readonly unknown[], names: readonly string[]): Part {
  let at = 1;
  const columns = new Map<string, ColumnProfile>();
  for (const name of names) {
    const { profile, next } = readAggregates(row, at);
    columns.set(name, profile);
    at = next;
  }
  return { rows: Number(row[0]), columns };
}
