import { reasonOf } from "@lifeboat/core";
import type { Connection } from "../driver.ts";

/** What SQLite's own check said about a database. */
export interface Integrity {
  /** The structure is damaged: pages, indexes, free list. */
  readonly damage: readonly string[];
  /** Rows against the schema's rules (NOT NULL, CHECK, type): the app's data, in the source as well. */
  readonly violations: readonly string[];
  /** What could not be checked here, and why: a virtual table's module, an app's own function. */
  readonly unchecked: readonly string[];
}

/**
 * The lines in which the check speaks of data (sqlite.org/pragma.html#pragma_integrity_check). CHECKs are
 * looked at only by connections that may write.
 */
const VIOLATION = /^(NULL|NUMERIC|TEXT|non-\S+) value in |^CHECK constraint failed in /;

/**
 * Runs `quick_check` or `integrity_check`. The latter also compares every index with its table. Where
 * the schema needs a module or a function that only the app has, what can be checked is checked table
 * by table.
 */
export function integrityOf(
  connection: Connection,
  check: "quick_check" | "integrity_check",
): Integrity {
  try {
    return sorted(said(connection, check), []);
  } catch (thrown) {
    if (!isSchemaFailure(thrown)) return sorted([reasonOf(thrown)], []);
    return byTable(connection, check);
  }
}

function byTable(connection: Connection, check: string): Integrity {
  const lines: string[] = [];
  const unchecked: string[] = [];
  const tables = connection
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .pluck()
    .all() as string[];
  for (const table of tables) {
    try {
      lines.push(...said(connection, `${check}('${table.replaceAll("'", "''")}')`));
    } catch (thrown) {
      if (isSchemaFailure(thrown)) unchecked.push(`${table}: ${reasonOf(thrown)}`);
      else lines.push(reasonOf(thrown));
    }
  }
  return sorted(lines, unchecked);
}

function said(connection: Connection, pragma: string): string[] {
  const rows = connection.prepare(`PRAGMA ${pragma}`).pluck().all() as string[];
  return rows.filter((row) => row !== "ok");
}

/** SQLITE_ERROR is a statement that cannot be prepared; damage has codes of its own. */
function isSchemaFailure(thrown: unknown): boolean {
  return (thrown as { code?: unknown }).code === "SQLITE_ERROR";
}

function sorted(lines: readonly string[], unchecked: readonly string[]): Integrity {
  return {
    damage: lines.filter((line) => !VIOLATION.test(line)),
    violations: lines.filter((line) => VIOLATION.test(line)),
    unchecked,
  };
}
