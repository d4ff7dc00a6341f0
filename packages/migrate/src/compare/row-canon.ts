import type { Codec } from "../codec/codec.ts";
import { codecNamed } from "../codec/registry.ts";
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
  const bytes = table.columns.some((column) => codecNamed(column.codec).bytes);
  const of = (make: (column: PlannedColumn) => string) => table.columns.map(make).join(" || ");
  return {
    sqlite: `CAST(${of(sqliteCanon)} AS BLOB)`,
    postgres: of((column) => postgresCanon(column, bytes)),
    bytes,
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

export function postgresCanon(column: PlannedColumn, asBytes: boolean): string {
  const codec = codecNamed(column.codec);
  const canon = `(${codec.canonIn(quoteName(column.target))})`;
  const [head, tail] = spelledIn(codec, canon);
  if (!asBytes) return `coalesce(${[head, canon, ...tail].join(" || ")}, 'N')`;
  const text = (sql: string) => `convert_to(${sql}, 'UTF8')`;
  const content = codec.bytes ? canon : text(canon);
  return `coalesce(${[text(head), content, ...tail.map(text)].join(" || ")}, '\\x4e'::bytea)`;
}

function spelledIn(codec: Codec, canon: string): [string, string[]] {
  return codec.framed ? [`'V' || octet_length(${canon}) || ':'`, []] : ["'V'", ["','"]];
}
