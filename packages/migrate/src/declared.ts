/**
 * A table as a product's own schema source declares it (drizzle's metadata, for instance), in terms
 * that know no library. The command line fills it; the mapping takes the types of the Postgres side as a
 * wish that stored values may overrule, and {@link driftOf} compares it with a live database.
 */
export interface DeclaredTable {
  readonly name: string;
  readonly columns: readonly DeclaredColumn[];
}

export interface DeclaredColumn {
  readonly name: string;
  /** The SQL type as declared: `integer`, `timestamp with time zone`, `numeric(10, 2)`. */
  readonly type: string;
  readonly notNull: boolean;
  readonly primaryKey?: boolean;
}

/** What a product declares for both of its engines; each may be missing. */
export interface DeclaredSchemas {
  readonly sqlite?: readonly DeclaredTable[];
  readonly postgres?: readonly DeclaredTable[];
}

/** The Postgres type that is declared for a column, without length and precision, lower case. */
export function declaredType(
  declared: readonly DeclaredTable[] | undefined,
  table: string,
  column: string,
): string | null {
  const found = declared
    ?.find((candidate) => candidate.name === table)
    ?.columns.find((candidate) => candidate.name === column);
  return found ? canonicalType(found.type) : null;
}

const SYNONYMS: Readonly<Record<string, string>> = {
  int: "bigint",
  int2: "bigint",
  int4: "bigint",
  int8: "bigint",
  integer: "bigint",
  smallint: "bigint",
  serial: "bigint",
  bigserial: "bigint",
  real: "double precision",
  float8: "double precision",
  float4: "double precision",
  decimal: "numeric",
  varchar: "text",
  char: "text",
  "character varying": "text",
  character: "text",
  bool: "boolean",
  timestamp: "timestamp without time zone",
  timestamptz: "timestamp with time zone",
  time: "time without time zone",
};

/**
 * One name for the types that this package maps to. The narrow integer, real and character types stand for the
 * wide ones, since a SQLite column was never held to their limits.
 */
export function canonicalType(type: string): string {
  const bare = type
    .toLowerCase()
    .replace(/\([^)]*\)/g, "")
    .replace(/\s+/g, " ")
    .trim();
  return SYNONYMS[bare] ?? bare;
}
