import type { Database } from "better-sqlite3";
import type { StoredAs } from "./stored-as.ts";

/** Nothing was visible yet: every change is new. */
export const FROM_THE_START = "1:1:";

/** How far SQLite has followed Postgres. */
export interface Followed {
  /** Counts the batches, so that an older copy of the file is told. */
  readonly batch: number;
  /** The snapshot of Postgres that the file holds. */
  readonly snapshot: string;
  /** The mark of the look that brought it, and how the tables were stored then; null where none has, or one of an earlier version. */
  readonly look: string | null;
  readonly stored: StoredAs | null;
}

const NOTHING: Followed = { batch: 0, snapshot: FROM_THE_START, look: null, stored: null };

/** @param db with safe integers */
export function readFollowed(db: Database): Followed {
  const there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'lifeboat_followed'";
  if (db.prepare(there).get() === undefined) return NOTHING;
  const row = db
    .prepare<[], { batch: bigint; snapshot: string; look?: string | null; stored?: string }>(
      "SELECT * FROM lifeboat_followed",
    )
    .get();
  if (!row) return NOTHING;
  const { batch, snapshot, look = null, stored = null } = row;
  return {
    batch: Number(batch),
    snapshot,
    look,
    stored: stored === null ? null : (JSON.parse(stored) as StoredAs),
  };
}
