/** What a SQLite schema holds, as far as a migration must know it. Names are verbatim. */
export interface SqliteSchema {
  readonly tables: readonly SqliteTable[];
  readonly views: readonly SqliteView[];
  readonly triggers: readonly SqliteTrigger[];
  readonly virtualTables: readonly SqliteVirtualTable[];
}

export interface SqliteTable {
  readonly name: string;
  readonly strict: boolean;
  readonly withoutRowid: boolean;
  /** The name by which the rowid can be read; null without a rowid or where columns hide all its names. */
  readonly rowid: string | null;
  /** The INTEGER PRIMARY KEY that is the rowid itself. */
  readonly rowidAlias: string | null;
  readonly autoincrement: boolean;
  /** The highest rowid ever given out, of an AUTOINCREMENT table. */
  readonly sequence: bigint | null;
  readonly columns: readonly SqliteColumn[];
  /** Names of the key's columns in their order; empty where there is no key. */
  readonly primaryKey: readonly string[];
  readonly indexes: readonly SqliteIndex[];
  readonly foreignKeys: readonly SqliteForeignKey[];
  readonly checks: readonly SqliteCheck[];
  readonly conflictClauses: number;
}

export type Affinity = "INTEGER" | "TEXT" | "BLOB" | "REAL" | "NUMERIC";

export interface SqliteColumn {
  readonly name: string;
  readonly declaredType: string;
  readonly affinity: Affinity;
  readonly notNull: boolean;
  /** The default's SQL text as declared, null where there is none. */
  readonly defaultSql: string | null;
  readonly collation: string;
  readonly generated: { readonly sql: string; readonly stored: boolean } | null;
}

export interface SqliteIndex {
  readonly name: string;
  readonly unique: boolean;
  /** How it came to be: CREATE INDEX, UNIQUE or PRIMARY KEY. */
  readonly origin: "c" | "u" | "pk";
  readonly columns: readonly SqliteIndexColumn[];
  /** The WHERE of a partial index. */
  readonly where: string | null;
}

export interface SqliteIndexColumn {
  /** Null where it is an expression. */
  readonly column: string | null;
  readonly expression: string | null;
  readonly descending: boolean;
  readonly collation: string;
}

export interface SqliteForeignKey {
  readonly columns: readonly string[];
  /** As written; may name no table at all. */
  readonly parent: string;
  /** Null: the parent's primary key. */
  readonly parentColumns: readonly string[] | null;
  readonly onDelete: string;
  readonly onUpdate: string;
  readonly initiallyDeferred: boolean;
}

export interface SqliteCheck {
  readonly name: string | null;
  readonly sql: string;
}

export interface SqliteView {
  readonly name: string;
  readonly sql: string;
  /** Null where the view can't be read in SQLite itself. */
  readonly columns: readonly string[] | null;
}

export interface SqliteTrigger {
  readonly name: string;
  readonly table: string;
  readonly sql: string;
}

export interface SqliteVirtualTable {
  readonly name: string;
  readonly module: string;
  readonly arguments: string;
  readonly shadowTables: readonly string[];
}

/** SQLite compares names of tables and columns without regard to ASCII case. */
export function sameName(left: string, right: string): boolean {
  return foldName(left) === foldName(right);
}

export function foldName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

export function tableNamed(schema: SqliteSchema, name: string): SqliteTable | undefined {
  return schema.tables.find((table) => sameName(table.name, name));
}

export function columnNamed(table: SqliteTable, name: string): SqliteColumn | undefined {
  return table.columns.find((column) => sameName(column.name, name));
}
