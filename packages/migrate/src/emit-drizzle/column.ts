import type { PlannedColumn } from "../plan.ts";
import { literal, type SourceOf, sqlTemplate } from "./source-of.ts";

/** How drizzle declares the types that a plan holds; any other by its name. */
const BUILDERS: Readonly<Record<string, readonly [builder: string, options?: string]>> = {
  boolean: ["boolean"],
  date: ["date"],
  "double precision": ["doublePrecision"],
  json: ["json"],
  jsonb: ["jsonb"],
  numeric: ["numeric"],
  text: ["text"],
  "time without time zone": ["time"],
  "timestamp with time zone": ["timestamp", "{ withTimezone: true }"],
  "timestamp without time zone": ["timestamp"],
  uuid: ["uuid"],
};

/** The declaration of a column, up to its keys. */
export function columnSource(source: SourceOf, column: PlannedColumn): string {
  const name = literal(column.target);
  return [
    typed(source, column, name),
    ...(column.identity ? [".generatedByDefaultAsIdentity()"] : []),
    ...(column.generated === null
      ? []
      : [`.generatedAlwaysAs(${sqlTemplate(source, column.generated)})`]),
    ...(column.nullable || column.identity ? [] : [".notNull()"]),
    ...(column.default === null ? [] : [`.default(${sqlTemplate(source, column.default)})`]),
  ].join("");
}

function typed(source: SourceOf, { type, isWide }: PlannedColumn, name: string): string {
  if (type === "bigint")
    return `${source.imported("bigint")}(${name}, { mode: ${isWide ? '"bigint"' : '"number"'} })`;
  const [builder, options] = BUILDERS[type] ?? [];
  if (builder === undefined) return `${source.customType(type)}(${name})`;
  return `${source.imported(builder)}(${name}${options === undefined ? "" : `, ${options}`})`;
}
