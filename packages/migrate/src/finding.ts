import type { Severity } from "@lifeboat/core";

/** Something that the migration noticed. An error stops everything until a choice answers it. */
export interface MigrationFinding {
  /** A stable lower-case word with hyphens, such as `text-with-nul`. */
  readonly id: string;
  readonly severity: Severity;
  readonly table: string | null;
  /** The column, or the constraint's columns or name; with the table it is the key of a choice. */
  readonly column: string | null;
  /** How many rows or values it concerns. */
  readonly count: number;
  /** A few keys of rows that show it, never their content. */
  readonly sample: readonly string[];
  /** The answers there are, as they may stand under `migrate.columns["table.column"]`. */
  readonly choices: readonly Choice[];
  readonly summary: string;
  /** SQL for Postgres that would do what does not go over: never run by Lifeboat, to be read and run by whoever owns the schema. */
  readonly proposal?: string;
}

/**
 * The answer to a finding. `type` and `codec` decide a column; `constraint` what becomes of a key, a
 * unique index, a foreign key or a CHECK; `generated` of a generated column; `table` of a whole table.
 */
export interface Choice {
  readonly type?: string;
  readonly codec?: string;
  readonly constraint?: "skip" | "not-valid";
  readonly generated?: "plain" | "skip";
  readonly nullable?: true;
  readonly table?: "skip";
}

/** By `table`, `table.column`, or `table.` and what the finding names as its column. */
export type Choices = Readonly<Record<string, Choice>>;

/** A finding with the parts that most have not. */
export function finding(
  init: Pick<MigrationFinding, "id" | "severity" | "summary"> & Partial<MigrationFinding>,
): MigrationFinding {
  return { table: null, column: null, count: 1, sample: [], choices: [], ...init };
}

export function choiceKey(table: string, column: string | null): string {
  return column === null ? table : `${table}.${column}`;
}
