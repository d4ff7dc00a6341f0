import type { DeclaredColumn, DeclaredSchemas, DeclaredTable } from "@lifeboat/migrate";
import type { Configuration } from "./configuration.ts";

/** The little that both of drizzle's dialects say about a table in the same words. */
interface TableConfig {
  readonly name: string;
  readonly columns: readonly DrizzleColumn[];
  readonly primaryKeys: readonly { readonly columns: readonly { readonly name: string }[] }[];
}

interface DrizzleColumn {
  readonly name: string;
  readonly notNull: boolean;
  readonly primary: boolean;
  getSQLType(): string;
}

/**
 * The tables that a configuration's drizzle schemas declare, in `migrate`'s own words. Importing
 * drizzle costs most of a second: this is done only where a schema is configured and a verb needs it.
 */
export async function declaredSchemas(schema: Configuration["schema"]): Promise<DeclaredSchemas> {
  return {
    ...(schema.sqlite && { sqlite: await sqliteTables(await schema.sqlite()) }),
    ...(schema.postgres && { postgres: await postgresTables(await schema.postgres()) }),
  };
}

async function sqliteTables(module: Record<string, unknown>): Promise<DeclaredTable[]> {
  const [{ is }, { getTableConfig, SQLiteTable }] = await Promise.all([
    import("drizzle-orm"),
    import("drizzle-orm/sqlite-core"),
  ]);
  return Object.values(module)
    .filter((value) => is(value, SQLiteTable))
    .map((table) => declared(getTableConfig(table)));
}

async function postgresTables(module: Record<string, unknown>): Promise<DeclaredTable[]> {
  const [{ is }, { getTableConfig, PgTable }] = await Promise.all([
    import("drizzle-orm"),
    import("drizzle-orm/pg-core"),
  ]);
  return Object.values(module)
    .filter((value) => is(value, PgTable))
    .map((table) => declared(getTableConfig(table)));
}

function declared({ name, columns, primaryKeys }: TableConfig): DeclaredTable {
  const keys = new Set(primaryKeys.flatMap((key) => key.columns.map((column) => column.name)));
  return { name, columns: columns.map((column) => declaredColumn(column, keys)) };
}

function declaredColumn(column: DrizzleColumn, keys: ReadonlySet<string>): DeclaredColumn {
  return {
    name: column.name,
    type: column.getSQLType(),
    notNull: column.notNull,
    primaryKey: column.primary || keys.has(column.name),
  };
}
