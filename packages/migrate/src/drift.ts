import { canonicalType, type DeclaredSchemas, type DeclaredTable } from "./declared.ts";
import { finding, type MigrationFinding } from "./finding.ts";
import type { PlannedTable } from "./plan.ts";
import { affinityOf } from "./sqlite/affinity.ts";
import type { SqliteSchema } from "./sqlite/schema.ts";

/** One difference between what a product declares and what its database holds. */
export interface Drift {
  readonly table: string;
  readonly column: string | null;
  readonly summary: string;
}

/** A live schema in the same terms as a declared one. */
export type LiveTable = DeclaredTable;

/**
 * The differences between a declared and a live schema, of one engine: tables and columns that only one
 * of them has, other types, other nullability. Names compare exactly, types by what they can hold.
 * @param sameType how types compare; by default as Postgres types of the same width class
 */
export function driftOf(
  declared: readonly DeclaredTable[],
  live: readonly LiveTable[],
  sameType: (declared: string, live: string) => boolean = samePostgresType,
): Drift[] {
  const drifts: Drift[] = [];
  for (const table of declared) {
    const found = live.find((one) => one.name === table.name);
    if (found) drifts.push(...columnDrift(table, found, sameType));
    else
      drifts.push({
        table: table.name,
        column: null,
        summary: `table ${table.name} is declared and not there`,
      });
  }
  for (const table of live)
    if (!declared.some((one) => one.name === table.name))
      drifts.push({
        table: table.name,
        column: null,
        summary: `table ${table.name} is there and not declared`,
      });
  return drifts;
}

function columnDrift(
  declared: DeclaredTable,
  live: LiveTable,
  sameType: (declared: string, live: string) => boolean,
): Drift[] {
  const drift = (column: string, what: string): Drift => ({
    table: declared.name,
    column,
    summary: `${declared.name}.${column} ${what}`,
  });
  const drifts: Drift[] = [];
  for (const column of declared.columns) {
    const found = live.columns.find((one) => one.name === column.name);
    if (!found) {
      drifts.push(drift(column.name, "is declared and not there"));
      continue;
    }
    if (!sameType(column.type, found.type))
      drifts.push(drift(column.name, `is declared ${column.type} and is ${found.type}`));
    // A primary key is NOT NULL by itself in Postgres, and often not in SQLite's declaration.
    if (column.notNull !== found.notNull && !column.primaryKey && !found.primaryKey)
      drifts.push(
        drift(
          column.name,
          `is declared ${nullability(column.notNull)} and is ${nullability(found.notNull)}`,
        ),
      );
  }
  for (const column of live.columns)
    if (!declared.columns.some((one) => one.name === column.name))
      drifts.push(drift(column.name, "is there and not declared"));
  return drifts;
}

function nullability(notNull: boolean): string {
  return notNull ? "NOT NULL" : "nullable";
}

/** Narrow and wide types of a kind count as one: a product may declare integer and get bigint. */
function samePostgresType(declared: string, live: string): boolean {
  return canonicalType(declared) === canonicalType(live);
}

/** In SQLite two declared types are the same when they have the same affinity. */
export function sameSqliteType(declared: string, live: string): boolean {
  return affinityOf(declared, false) === affinityOf(live, false);
}

/** A SQLite schema in the terms of a declared one. */
export function liveSqlite(schema: SqliteSchema): LiveTable[] {
  return schema.tables.map((table) => ({
    name: table.name,
    columns: table.columns.map((column) => ({
      name: column.name,
      type: column.declaredType,
      notNull: column.notNull,
      primaryKey: table.primaryKey.includes(column.name),
    })),
  }));
}

/** A plan's target in the terms of a declared schema. */
function livePlanned(tables: readonly PlannedTable[]): LiveTable[] {
  return tables.map((table) => ({
    name: table.target,
    columns: table.columns.map((column) => ({
      name: column.target,
      type: column.type,
      notNull: !column.nullable,
      primaryKey: table.key.includes(column.source),
    })),
  }));
}

/** The drift of both sides as findings of a plan: information, since the stored values decide. */
export function driftFindings(
  declared: DeclaredSchemas | undefined,
  schema: SqliteSchema,
  tables: readonly PlannedTable[],
): MigrationFinding[] {
  const sqlite = declared?.sqlite
    ? driftOf(declared.sqlite, liveSqlite(schema), sameSqliteType)
    : [];
  const postgres = declared?.postgres ? driftOf(declared.postgres, livePlanned(tables)) : [];
  const note = (id: string, side: string) => (drift: Drift) =>
    finding({
      id,
      severity: "warning",
      table: drift.table,
      column: drift.column,
      summary: `${side}: ${drift.summary}`,
    });
  return [
    ...sqlite.map(note("drift-sqlite", "SQLite schema")),
    ...postgres.map(note("drift-postgres", "Postgres schema")),
  ];
}
