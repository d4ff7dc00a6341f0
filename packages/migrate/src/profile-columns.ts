import type { Database } from "better-sqlite3";
import type { ColumnProfile } from "./column-profile.ts";
import type { Part } from "./first-shapes.ts";
import { type OpenShapes, profilePart } from "./profile-part.ts";

/** A SELECT has at most 2,000 result columns; a column takes up to some twenty of them. */
const COLUMNS_A_SCAN = 80;

/** Some rows, and what all columns of them hold. */
export interface PartProfile {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, ColumnProfile>;
}

/** Profiles some rows of a table, however many columns it has. */
export function profileColumns(
  db: Database,
  part: Part,
  names: readonly string[],
  open: OpenShapes,
): PartProfile {
  let rows = 0;
  const columns = new Map<string, ColumnProfile>();
  for (let first = 0; first < names.length; first += COLUMNS_A_SCAN) {
    const profiled = profilePart(db, part, names.slice(first, first + COLUMNS_A_SCAN), open);
    rows = profiled.rows;
    for (const [name, profile] of profiled.columns) columns.set(name, profile);
  }
  return { rows, columns };
}
