import { finding } from "./finding.ts";
import { chooseTypes } from "./map/choose-types.ts";
import type { MapContext } from "./map/context.ts";
import type { Mapping } from "./map/decide-type.ts";
import { type ColumnId, columnId } from "./map/key-groups.ts";
import { mapChecks } from "./map/map-checks.ts";
import { mapColumn, noteRenamedTable } from "./map/map-column.ts";
import { type MappedTable, mapForeignKeys } from "./map/map-foreign-keys.ts";
import { mapGenerated } from "./map/map-generated.ts";
import { mapIndexes } from "./map/map-indexes.ts";
import { fittingName } from "./map/names.ts";
import { noteLeftBehind } from "./map/note-left-behind.ts";
import { noteNotCapturable } from "./map/note-not-capturable.ts";
import { noteRowWidth } from "./map/note-row-width.ts";
import type { PlannedColumn, PlannedIndex, PlannedTable } from "./plan.ts";
import { type SqliteTable, sameName } from "./sqlite/schema.ts";

type DraftTable = MappedTable & { readonly indexes: readonly PlannedIndex[] };

/** Decides every table, column and constraint; what does not go over as it is lies in the context's findings. */
export function mapTables(context: MapContext): PlannedTable[] {
  const types = chooseTypes(context);
  // Tables come first to their names, which products use; the names of constraints give way.
  const targets = new Map(
    context.tables.map((table) => [table, context.names.take(fittingName(table.name))]),
  );
  const drafts = [...targets].map(([table, target]) => draft(context, table, target, types));
  mapForeignKeys(context, drafts);
  for (const one of drafts)
    one.constraints.push(...mapChecks(context, one.table, one.columns, one.target));
  noteLeftBehind(context, drafts);
  noteNotCapturable(context);
  return drafts.map((one) => planned(context, one));
}

function draft(
  context: MapContext,
  table: SqliteTable,
  target: string,
  types: ReadonlyMap<ColumnId, Mapping | null>,
): DraftTable {
  if (target !== table.name) noteRenamedTable(context, table.name, target);
  noteUnreadable(context, table);
  const columns = mapColumns(context, table, types);
  noteRowWidth(context, table, columns);
  const { constraints, indexes } = mapIndexes(context, table, columns, target);
  return { table, target, columns, constraints, indexes };
}

function mapColumns(
  context: MapContext,
  table: SqliteTable,
  types: ReadonlyMap<ColumnId, Mapping | null>,
): PlannedColumn[] {
  const plainOf = (name: string) => {
    const column = table.columns.find((one) => one.name === name);
    if (!column) throw new Error(`no column ${name} in ${table.name}`);
    return mapColumn(context, table, column, types.get(columnId(table.name, name)) ?? null);
  };
  const plain = table.columns.filter((one) => !one.generated).map((one) => plainOf(one.name));
  return table.columns.flatMap((column) => {
    if (!column.generated) return plain.find((one) => one.source === column.name) ?? [];
    return mapGenerated(context, table, column, plain, () => plainOf(column.name)) ?? [];
  });
}

/** All three names of the rowid are columns' names, and there is no key: the rows can't be told apart. */
function noteUnreadable(context: MapContext, table: SqliteTable): void {
  if (table.withoutRowid || table.rowid !== null) return;
  context.add(
    finding({
      id: "rowid-hidden",
      severity: "error",
      table: table.name,
      choices: [{ table: "skip" }],
      summary: `the columns of ${table.name} hide its rowid under all of its names, so its rows can't be read in order`,
    }),
  );
}

function planned(context: MapContext, one: DraftTable): PlannedTable {
  const { table, target, constraints, indexes } = one;
  const profile = context.profile(table);
  const primary = constraints.find((constraint) => constraint.kind === "primary-key");
  const inKey = (name: string) => table.primaryKey.some((key) => sameName(key, name));
  return {
    name: table.name,
    target,
    rows: profile.rows,
    bytes: profile.bytes,
    maxRowBytes: profile.maxRowBytes,
    columns: one.columns.map((column) =>
      primary && inKey(column.source) ? { ...column, nullable: false } : column,
    ),
    key: primary ? table.primaryKey : [],
    rowid: table.rowid,
    constraints,
    indexes,
    identity: identityOf(context, table, one.columns),
  };
}

/** The largest rowid: without AUTOINCREMENT SQLite looks for a free one once that was given (autoinc.html). */
const LAST_ID = 9_223_372_036_854_775_807n;

/** AUTOINCREMENT never gives a rowid twice, also after its row is gone; a plain rowid goes on from the highest. */
function identityOf(
  context: MapContext,
  table: SqliteTable,
  columns: readonly PlannedColumn[],
): PlannedTable["identity"] {
  const column = columns.find((one) => one.identity);
  if (!column) return null;
  const highest = context.profile(table).columns.get(column.source)?.maxInteger ?? 0n;
  const given = table.sequence ?? 0n;
  const last = highest > given ? highest : given;
  if (last === LAST_ID && table.sequence === null)
    context.add(
      finding({
        id: "ids-at-their-end",
        severity: "warning",
        table: table.name,
        column: column.source,
        sample: [String(last)],
        summary: `${table.name} holds the largest ${column.source} there is: SQLite looks for a free one for a row that comes without, Postgres refuses it. Give that row another before the cutover`,
      }),
    );
  return { column: column.target, last: String(last > 0n ? last : 0n) };
}
