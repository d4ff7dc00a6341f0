import { codecNamed } from "../codec/registry.ts";
import { chained } from "../concatenation.ts";
import { finding } from "../finding.ts";
import type { PlannedColumn } from "../plan.ts";
import { quoteName } from "../quote.ts";
import type { SqliteTable } from "../sqlite/schema.ts";
import type { MapContext } from "./context.ts";

/** A row lies in one page, headers apart: MaxHeapTupleSize of 8 kB pages, less the row's own header. */
const MAX_ROW_BYTES = 8160 - 24;
/** What stays in the row of a value that is stored elsewhere (manual, "TOAST"); shorter than 24 none is moved. */
const POINTER_BYTES = 18;
const MOVED_FROM = 24;
/** The least that stays of a longer value where it compresses well. */
const COMPRESSED_BYTES = 8;

/**
 * Notes the rows that no page of Postgres holds, though all that can be stored elsewhere is; and those that
 * fit only if their texts compress, which the load itself will tell.
 */
export function noteRowWidth(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
): void {
  if (columns.length * MOVED_FROM <= MAX_ROW_BYTES) return;
  const certain = note(context, table, columns, "error", COMPRESSED_BYTES);
  if (!certain) note(context, table, columns, "warning", POINTER_BYTES);
}

function note(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
  severity: "error" | "warning",
  ofLong: number,
): boolean {
  const bytes = columns.map((column) => leastBytes(column, ofLong));
  const tooWide = `${chained(bytes, " + ")} > ${MAX_ROW_BYTES}`;
  const count = context.count(`SELECT count(*) FROM ${quoteName(table.name)} WHERE ${tooWide}`);
  if (count === 0) return false;
  const unless = severity === "error" ? "" : " unless its texts compress well";
  context.add(
    finding({
      id: "row-too-wide",
      severity,
      table: table.name,
      count,
      sample: context.sample(table, tooWide),
      choices: [{ table: "skip" }],
      summary: `${count} rows of ${table.name} fill so many of its ${columns.length} columns that no page of Postgres holds one of them${unless}`,
    }),
  );
  return true;
}

function leastBytes(column: PlannedColumn, ofLong: number): string {
  const c = quoteName(column.source);
  const fixed = codecNamed(column.codec).binaryLength;
  const least =
    fixed === undefined
      ? `iif(octet_length(${c}) < ${MOVED_FROM}, octet_length(${c}) + 1, ${ofLong})`
      : String(fixed);
  return `iif(${c} IS NULL, 0, ${column.type === "numeric" ? "5" : least})`;
}
