import { setImmediate as nextTurn } from "node:timers/promises";
import type { Report } from "@lifeboat/core";
import { type ColumnProfile, EMPTY_PROFILE, mergeProfiles } from "./column-profile.ts";
import type { Part } from "./first-shapes.ts";
import { type PartProfile, profileColumns } from "./profile-columns.ts";
import type { ProfileHelper } from "./profile-helper.ts";
import { MAX_PART_ROWS, type OpenShapes } from "./profile-part.ts";
import { nameList, quoteName } from "./quote.ts";
import { rowidRanges } from "./row-range.ts";
import type { PlanSource } from "./source.ts";
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

/** Rows that are read before progress is shown and a signal heard; they stay in SQLite's cache for the second look. */
const ROWS_A_TURN = 20_000;
/** Who reads a table, and how it is followed. */
export interface ProfileInput {
  readonly source: PlanSource;
  readonly table: SqliteTable;
  /** Reads along, where the database is large enough. */
  readonly helper: ProfileHelper | null;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** Reads every value of a table and counts its classes, limits and shapes. */
export async function profileTable(input: ProfileInput): Promise<TableProfile> {
  try {
    return await readTable(input);
  } catch (cause) {
    await input.helper?.discard();
    throw cause;
  }
}

async function readTable(input: ProfileInput): Promise<TableProfile> {
  const { source, table, helper, report, signal } = input;
  const names = table.columns.map(({ name }) => name);
  const columns = new Map(names.map((name) => [name, EMPTY_PROFILE]));
  const open: OpenShapes = new Map();
  let rows = 0;
  const add = (part: PartProfile) => {
    rows += part.rows;
    for (const [name, profile] of part.columns)
      columns.set(name, mergeProfiles(columns.get(name) ?? EMPTY_PROFILE, profile));
  };
  for (const part of partsOf(source, table)) {
    if (helper?.isFree && table.rowid !== null) {
      helper.give({ table: table.name, part, columns: names });
      continue;
    }
    const own = source.look(() => profileColumns(source.db, part, names, open));
    if (own.rows === 0) break;
    add(own);
    report({ note: `${table.name}: ${rows} rows read` });
    await nextTurn();
    signal.throwIfAborted();
    if (helper) for await (const theirs of helper.done(false)) add(theirs);
  }
  if (helper) for await (const theirs of helper.done(true)) add(theirs);
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

function* partsOf(source: PlanSource, table: SqliteTable): Generator<Part> {
  const name = quoteName(table.name);
  if (table.rowid !== null) {
    const rowid = quoteName(table.rowid);
    const from = `${name} WHERE ${rowid} >= ? AND ${rowid} <= ?`;
    for (const values of rowidRanges(source.db, table.name, table.rowid, ROWS_A_TURN))
      yield { from, values };
    return;
  }
  // In the order of the key, or each question might walk another index in another order.
  const order = table.primaryKey.length > 0 ? nameList(table.primaryKey) : "1";
  const from = `(SELECT * FROM ${name} ORDER BY ${order} LIMIT ${MAX_PART_ROWS} OFFSET ?)`;
  for (let offset = 0; ; offset += MAX_PART_ROWS) yield { from, values: [offset] };
}
