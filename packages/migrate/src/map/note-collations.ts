import { finding } from "../finding.ts";
import type { PlannedColumn } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { type SqliteTable, sameName } from "../sqlite/schema.ts";
import type { MapContext } from "./context.ts";

const FOLDED: Readonly<Record<string, (column: string) => string>> = {
  NOCASE: (column) => `lower(${column} COLLATE "C")`,
  RTRIM: (column) => `rtrim(${column} COLLATE "C", ' ')`,
};

/** Notes each text that SQLite compares by another collation than byte by byte, as Postgres will. */
export function noteCollations(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
): void {
  for (const column of columns) {
    const unique = uniqueCollation(table, column.source);
    const own = table.columns.find((one) => sameName(one.name, column.source))?.collation;
    const collation = unique ?? own ?? "BINARY";
    if (collation === "BINARY" || column.type !== "text") continue;
    const what =
      unique === null
        ? `compares under ${collation}, and byte by byte in Postgres`
        : `is unique under ${collation}: a unique index on the folded text keeps that`;
    const fold = FOLDED[collation]?.(quoteName(column.target));
    const how = fold === undefined ? "" : `, as in ${fold}`;
    context.add(
      finding({
        id: "collation",
        severity: "warning",
        table: table.name,
        column: column.source,
        summary: `${table.name}.${column.source} ${what}; queries that compare, sort or group by it must fold it${how}`,
      }),
    );
  }
}

function uniqueCollation({ indexes }: SqliteTable, name: string): string | null {
  for (const index of indexes.filter(({ unique }) => unique))
    for (const term of index.columns)
      if (term.column !== null && sameName(term.column, name) && term.collation !== "BINARY")
        return term.collation;
  return null;
}
