import { codecNamed } from "../codec/registry.ts";
import type { PlannedColumn } from "../plan.ts";
import { quoteName } from "../quote.ts";

/** Postgres: the canon of a column, NULL only where the value is. */
export function canonInPostgres(column: PlannedColumn): string {
  const codec = codecNamed(column.codec);
  const p = quoteName(column.target);
  if (codec.bytes) return codec.canonIn(p);
  return `CASE WHEN ${p} IS NOT NULL THEN ${codec.canonIn(p)} END`;
}

/** SQLite: the same, of what is stored there; a value of a class that the codec has not is spelled like none of Postgres. */
export function canonInSqlite(column: PlannedColumn): string {
  const { canon, classes } = codecNamed(column.codec);
  const c = quoteName(column.source);
  const admitted = classes.map((name) => `'${name}'`).join(", ");
  return `CASE WHEN ${c} IS NULL THEN NULL WHEN typeof(${c}) IN (${admitted}) THEN ${canon(c)} ELSE '!' END`;
}

/** SQLite: the stored value from a parameter that holds the canon, a text as such or as its bytes. */
export function valueInSqlite(column: PlannedColumn): string {
  const { bytes, decode } = codecNamed(column.codec);
  const canon = bytes ? "?" : "CAST(? AS TEXT)";
  return `(SELECT CASE WHEN v IS NOT NULL THEN ${decode("v")} END FROM (SELECT ${canon} AS v))`;
}
