import type { SqliteForeignKey, SqliteSchema, SqliteTable } from "../sqlite/schema.ts";
import { columnNamed, foldName, tableNamed } from "../sqlite/schema.ts";

/** A column, by the folded names of its table and itself. */
export type ColumnId = string;

export function columnId(table: string, column: string): ColumnId {
  return JSON.stringify([foldName(table), foldName(column)]);
}

/** The columns that a foreign key refers to; null where the parent has no such table or columns. */
export function parentOf(
  schema: SqliteSchema,
  key: SqliteForeignKey,
): { table: SqliteTable; columns: readonly string[] } | null {
  const table = tableNamed(schema, key.parent);
  if (!table) return null;
  const columns = (key.parentColumns ?? table.primaryKey).flatMap((name) => {
    const column = columnNamed(table, name);
    return column ? [column.name] : [];
  });
  return columns.length === key.columns.length ? { table, columns } : null;
}

/**
 * Sets of columns that foreign keys tie together, directly or over others: Postgres compares them, so
 * they must get one type. Columns that no foreign key touches are in no group.
 */
export function keyGroups(schema: SqliteSchema): ReadonlyMap<ColumnId, readonly ColumnId[]> {
  const groups = new Map<ColumnId, ColumnId[]>();
  for (const table of schema.tables)
    for (const key of table.foreignKeys) {
      const parent = parentOf(schema, key);
      key.columns.forEach((column, position) => {
        const target = parent?.columns[position];
        if (parent && target !== undefined)
          join(groups, columnId(table.name, column), columnId(parent.table.name, target));
      });
    }
  return groups;
}

function join(groups: Map<ColumnId, ColumnId[]>, left: ColumnId, right: ColumnId): void {
  const ofLeft = groups.get(left) ?? [left];
  const ofRight = groups.get(right) ?? [right];
  if (ofLeft === ofRight) return;
  const joined = [...new Set([...ofRight, ...ofLeft])];
  for (const member of joined) groups.set(member, joined);
}
