import { codecNamed } from "../codec/registry.ts";
import { concatenation } from "../concatenation.ts";
import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { quoteName } from "../quote.ts";

/**
 * One spelling of a row that both databases can make: each value is `N` for NULL, or `V` and its canon,
 * which ends with a comma or is preceded by its length. So no two different rows are spelled alike.
 */
export interface RowCanon {
  /** SQLite: a BLOB. */
  readonly sqlite: string;
  /** Postgres: text, or bytea where {@link RowCanon.bytes}. */
  readonly postgres: string;
  readonly bytes: boolean;
}

export function rowCanon(table: PlannedTable): RowCanon {
  const isBytes = (column: PlannedColumn) => codecNamed(column.codec).bytes;
  const texts = table.columns.filter((column) => !isBytes(column));
  // Behind the texts, so that Postgres turns those into bytes once a row and not once a value.
  const raw = table.columns.filter(isBytes);
  const text = concatenation(["''", ...texts.map((column) => postgresCanon(column))]);
  return {
    sqlite: `CAST(${concatenation([...texts, ...raw].map(sqliteCanon))} AS BLOB)`,
    postgres:
      raw.length === 0
        ? text
        : concatenation([
            `convert_to(${text}, 'UTF8')`,
            ...raw.map((column) => postgresCanon(column)),
          ]),
    bytes: raw.length > 0,
  };
}

/** A value of a class that the plan did not see is spelled like no value of Postgres, so that it shows. */
export function sqliteCanon(column: PlannedColumn): string {
  const codec = codecNamed(column.codec);
  const c = quoteName(column.source);
  const canon = `(${codec.canon(c)})`;
  const spelled = codec.framed
    ? `'V' || octet_length(${canon}) || ':' || ${canon}`
    : `'V' || ${canon} || ','`;
  const admitted = codec.classes.map((name) => `'${name}'`).join(", ");
  return `(CASE WHEN ${c} IS NULL THEN 'N' WHEN typeof(${c}) IN (${admitted}) THEN ${spelled} ELSE '!' || typeof(${c}) || quote(${c}) END)`;
}

/** Text, or bytea where the column's codec gives bytes. */
export function postgresCanon(column: PlannedColumn): string {
  const codec = codecNamed(column.codec);
  const canon = `(${codec.canonIn(quoteName(column.target))})`;
  const frame = `'V' || octet_length(${canon}) || ':'`;
  if (codec.bytes) return `coalesce(convert_to(${frame}, 'UTF8') || ${canon}, '\\x4e'::bytea)`;
  return `coalesce(${codec.framed ? `${frame} || ${canon}` : `'V' || ${canon} || ','`}, 'N')`;
}
