import { quoteName } from "../quote.ts";
import { withoutQuotedStrings } from "../sqlite/quoted-strings.ts";
import type { SqliteIndex, SqliteTable } from "../sqlite/schema.ts";
import type { MapContext } from "./context.ts";

/** A btree entry of Postgres holds at most 2,704 bytes; some are its own. */
export const MAX_KEY_BYTES = 2600;

/** Rows whose key no index entry of Postgres holds. */
export interface LongKeys {
  readonly count: number;
  readonly sample: readonly string[];
}

/** Of a key of whole columns; null where every row's fits. */
export function longKeys(
  context: MapContext,
  table: SqliteTable,
  names: readonly string[],
): LongKeys | null {
  return measured(context, table, names.map(quoteName), null);
}

/** Of an index, which may be of expressions, or of some rows only. */
export function longEntries(
  context: MapContext,
  table: SqliteTable,
  index: SqliteIndex,
): LongKeys | null {
  const terms = index.columns.map(({ column, expression }) =>
    column === null ? withoutQuotedStrings(expression ?? "", table) : quoteName(column),
  );
  return measured(context, table, terms, index.where);
}

/** Measured, not estimated: of an expression, of several columns or of the rows of a partial index no profile tells. */
function measured(
  context: MapContext,
  table: SqliteTable,
  terms: readonly string[],
  where: string | null,
): LongKeys | null {
  if (context.profile(table).maxRowBytes <= MAX_KEY_BYTES) return null;
  const bytes = terms.map((term) => `ifnull(octet_length(${term}), 0)`).join(" + ");
  const rows = where === null ? "" : `(${withoutQuotedStrings(where, table)}) AND `;
  const condition = `${rows}${bytes} > ${MAX_KEY_BYTES}`;
  const sample = context.sample(table, condition);
  if (sample.length === 0) return null;
  const from = `${quoteName(table.name)} WHERE ${condition}`;
  return { count: context.count(`SELECT count(*) FROM ${from}`), sample };
}
