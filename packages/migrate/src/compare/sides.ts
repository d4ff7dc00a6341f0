import type { Client } from "pg";
import type { PlannedTable } from "../plan.ts";

/** One look at both databases. The snapshot of Postgres is the older one. */
export interface Moment {
  /** Reads SQLite in a snapshot younger than that of Postgres. It ends with `read`, so nothing is awaited in it. */
  inSqlite<Result>(read: (written: WrittenSince) => Result): Result;
}

/** What SQLite wrote that the snapshot of Postgres need not hold yet. */
export interface WrittenSince {
  /** False where nothing tells which rows of the table were written: then no difference is proved. */
  isKnown(table: PlannedTable): boolean;
  /** How many of its rows were written. */
  count(table: PlannedTable): number;
  /** Those of these rows that were written; keys as `spelledKey` spells them. */
  among(table: PlannedTable, keys: readonly string[]): ReadonlySet<string>;
}

/** Both databases, as comparisons see them. */
export interface Sides {
  /** Takes the snapshots anew where they are not held for the whole comparison. */
  look<Result>(compare: (moment: Moment) => Promise<Result>): Promise<Result>;
  /** Asks Postgres, outside a look, what it may not be able to read as a value; null where it isn't. */
  ask<Result>(question: () => Promise<Result>): Promise<Result | null>;
}

/** Those that a table is compared by in parts, each of a moment of its own. */
export interface PartedSides extends Sides {
  /** @param parts in how many looks the table is compared if nobody adds to it */
  beginTable(parts: number): void;
}

const NOTHING_WRITTEN: WrittenSince = {
  isKnown: () => true,
  count: () => 0,
  among: () => new Set(),
};

/** Two snapshots that the caller holds, of databases that should be equal in whole. */
export function heldSides(client: Client): Sides {
  return {
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

/** Class 22, "data exception": the text is no value of the type (Postgres manual, appendix A). */
export function isUnreadable(cause: unknown): boolean {
  const { code, severity } = (cause ?? {}) as { code?: string; severity?: string };
  return severity !== undefined && code?.startsWith("22") === true;
}
