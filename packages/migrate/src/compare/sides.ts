import type { Client } from "pg";
import type { PlannedTable } from "../plan.ts";
import type { KeyRange } from "./row-key.ts";

/** One look at both databases. The snapshot of the side that follows the other is the older one. */
export interface Moment {
  /** Reads SQLite in its snapshot, which may end with `read`, so nothing is awaited in it. */
  inSqlite<Result>(read: (written: WrittenSince) => Result): Result;
  /**
   * SQL: the rows in Postgres of a table without a key, as SQLite's snapshot may hold them: `d` the digest, `place` where one is, `n` how many
   * copies. Absent: as they are there.
   */
  copiesThere?(table: PlannedTable): string;
}

/** What the product wrote that the snapshot of the other side need not hold yet. */
export interface WrittenSince {
  /** False where nothing tells which rows of the table were written: then no difference is proved. */
  isKnown(table: PlannedTable): boolean;
  /** Whether any of its rows was written. */
  any(table: PlannedTable): boolean;
  /** How many of its rows were written. */
  count(table: PlannedTable): number;
  /** `boundColumns` of the key of one entry in a range, by how many stand before it in the order of the key; null where there are fewer. */
  nthKey(table: PlannedTable, range: KeyRange, offset: number): readonly unknown[] | null;
  /**
   * Those of a range of its keys that were written, or that a written row bore before.
   * @param most so many are told one by one
   */
  within(table: PlannedTable, range: KeyRange, most: number): WrittenRows;
  /** Those of these rows that were written; keys as `spelledKey` spells them. */
  among(table: PlannedTable, keys: readonly string[]): ReadonlySet<string>;
}

/** Rows that may be very many. */
export interface WrittenRows {
  readonly count: number;
  /** The keys of all of them, as `spelledKey` spells them, a line each. */
  readonly keys: string;
  /** The first ones. */
  readonly rows: readonly WrittenRow[];
}

export const NO_ROWS: WrittenRows = { count: 0, keys: "", rows: [] };

export interface WrittenRow {
  /** The key as both sides spell it alike, see `spelledKey`, and as people read it. */
  readonly key: string;
  readonly shown: string;
}

/** Both databases, as comparisons see them. */
export interface Sides {
  /** Whether Postgres holds rows by the rowids of the log's own schema: else a rowid may just have been given anew. */
  readonly keepsRowids: boolean;
  /** Gathers what was written to a table with a key, in short reads: before looks at it ask for that, which the log may hold much of. */
  gather(table: PlannedTable, signal: AbortSignal): Promise<void>;
  /** Takes the snapshots anew where they are not held for the whole comparison. */
  look<Result>(compare: (moment: Moment) => Promise<Result>): Promise<Result>;
  /** What was written, outside a look: so it is not exact, and no proof of anything. */
  log<Result>(read: (written: WrittenSince) => Result): Result;
  /** Asks Postgres, outside a look, what it may not be able to read as a value; null where it isn't. */
  ask<Result>(question: () => Promise<Result>): Promise<Result | null>;
}

const NOTHING_WRITTEN: WrittenSince = {
  isKnown: () => true,
  any: () => false,
  nthKey: () => null,
  count: () => 0,
  within: () => NO_ROWS,
  among: () => new Set(),
};

/** Two snapshots that the caller holds, of databases that should be equal in whole. */
export function heldSides(client: Client): Sides {
  return {
    keepsRowids: true,
    gather: async () => undefined,
    log: (read) => read(NOTHING_WRITTEN),
    look: (compare) => compare({ inSqlite: (read) => read(NOTHING_WRITTEN) }),
    async ask(question) {
      await client.query("SAVEPOINT lifeboat_asked");
      try {
        return await question();
      } catch (cause) {
        if (!isUnreadable(cause)) throw cause;
        await client.query("ROLLBACK TO SAVEPOINT lifeboat_asked");
        return null;
      } finally {
        await client.query("RELEASE SAVEPOINT lifeboat_asked");
      }
    },
  };
}

/** {@link Sides.ask} where no transaction is held that a failure would end. */
export async function answerOrNull<Result>(
  question: () => Promise<Result>,
): Promise<Result | null> {
  try {
    return await question();
  } catch (cause) {
    if (!isUnreadable(cause)) throw cause;
    return null;
  }
}

/** Class 22, "data exception": the text is no value of the type (Postgres manual, appendix A). */
export function isUnreadable(cause: unknown): boolean {
  const { code, severity } = (cause ?? {}) as { code?: string; severity?: string };
  return severity !== undefined && code?.startsWith("22") === true;
}
