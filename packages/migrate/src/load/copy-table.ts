import { LifeboatError } from "@lifeboat/core";
import type { Database } from "better-sqlite3";
import type { Client } from "pg";
import { qualified } from "../ddl.ts";
import type { PlannedTable } from "../plan.ts";
import type { ProductPace } from "../product-pace.ts";
import { nameList } from "../quote.ts";
import { isLockTaken } from "../target/hold-tables.ts";
import { targetError } from "../target/target-error.ts";
import { type CopyForm, copyForm, sentColumns } from "./copy-expression.ts";
import { framed } from "./copy-frame.ts";
import { sendCopy } from "./copy-stream.ts";
import { liveCopyForm, liveRows } from "./live-rows.ts";
import type { RowReader } from "./row-reader.ts";

/** What is told of a running copy: bytes of COPY data. */
export type CopyProgress = (bytes: number) => void;

export interface CopyInput {
  readonly db: Database;
  readonly client: Client;
  readonly schema: string;
  readonly table: PlannedTable;
  readonly progress: CopyProgress;
  readonly signal: AbortSignal;
}

export interface LiveCopyInput extends CopyInput {
  /** Gives the thread that reads large tables. */
  readonly reader: () => RowReader;
  /** Absent: the product is not rested for. */
  readonly pace: ProductPace | undefined;
}

/** Nobody's checkpoints are waited for in a snapshot that is held. */
const HELD = { await: () => undefined };

/** Below this a thread is not worth its start. */
const LARGE_BYTES = 4 * 1024 * 1024;
/** Rows that may be longer are read one by one on this thread: a few of them ahead would be most of the memory. */
const LONG_ROW_BYTES = 1024 * 1024;

/**
 * Copies all rows of one table, made in this transaction, in a single COPY stream, from the snapshot that is held.
 * @returns the number of rows that Postgres took
 * @throws LifeboatError `TARGET_REFUSED_ROWS`, `POSTGRES_LOST`
 */
export async function copyTable(input: CopyInput): Promise<number> {
  const form = copyForm(input.table);
  return sendRows(input, form, framed(form, liveRows(input.db, input.table, form, HELD)));
}

/** The same in short reads, while the product writes; of a large table by a thread of its own, unless its rows are very long. */
export async function copyLiveTable(input: LiveCopyInput): Promise<number> {
  const { db, reader, table, pace, signal } = input;
  const form = liveCopyForm(table);
  const isLarge = table.bytes > LARGE_BYTES && table.maxRowBytes <= LONG_ROW_BYTES;
  const rows = isLarge ? reader().rows(table) : framed(form, liveRows(db, table, form));
  return sendRows(input, form, pace ? rested(rows, pace, signal) : rows);
}

async function* rested(
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  pace: ProductPace,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    await pace.between(signal);
    yield chunk;
  }
}

async function sendRows(
  { client, schema, table, progress, signal }: CopyInput,
  form: CopyForm,
  rows: Iterable<Buffer> | AsyncIterable<Buffer>,
): Promise<number> {
  const columns = nameList(sentColumns(table).map((column) => column.target));
  // FREEZE is allowed since the table was made in this transaction: no second pass to set hint bits.
  const sql = `COPY ${qualified(schema, table.target)} (${columns}) FROM STDIN WITH (FORMAT ${form.format}, FREEZE)`;
  try {
    return await sendCopy(client, sql, watched(rows, progress, signal));
  } catch (cause) {
    throw refusedRows(table, targetError(cause));
  }
}

async function* watched(
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  progress: CopyProgress,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    progress(chunk.length);
    yield chunk;
  }
}

/** The server's message quotes the row that it refuses, which must not reach a log: only its code is told, and the column's name. */
export function refusedRows(table: PlannedTable, cause: unknown): unknown {
  const { code, severity } = cause as { code?: string; severity?: string };
  if (severity === undefined || isLockTaken(cause)) return cause;
  const column = refusedColumn(table, cause as RefusedPlace);
  const place = column === null ? table.name : `${table.name}, for its ${column}`;
  return new LifeboatError({
    code: "TARGET_REFUSED_ROWS",
    message: `Postgres refuses a row of ${place} (SQLSTATE ${code}); nothing was kept`,
    remedy:
      code === "54000"
        ? "the row is wider than a page of Postgres: part the table, or leave it out by a choice in migrate.columns"
        : "where such a value was written since the plan was made, set it right in SQLite and run this again, or run lifeboat migrate abort, then plan and load anew; else this is a defect of the mapping: choose another type for the column in migrate.columns, and report it",
    details: { table: table.name, column, sqlstate: code },
  });
}

interface RefusedPlace {
  readonly where?: string;
  /** Where a NOT NULL is what refuses. */
  readonly column?: string;
}

/**
 * What COPY says of the place: `COPY t, line 1, column c: "value"`, in its binary form without the value. In the server's own
 * language, in all of which the column stands behind the line's number, after a blank.
 */
function refusedColumn(
  { target: table, columns }: PlannedTable,
  { where = "", column }: RefusedPlace,
): string | null {
  const [, rest] = /^\D*\d+\D*?[,、] ?\S+ (.*)$/s.exec(where.replace(table, () => "")) ?? [];
  const named = columns.find(
    ({ target }) =>
      target === column || rest === target || /^ ?: ["»«„“]/.test(afterName(rest, target)),
  );
  return named?.source ?? null;
}

function afterName(rest: string | undefined, name: string): string {
  return rest?.startsWith(name) ? rest.slice(name.length) : "";
}
