import { removeTraces } from "./freeze.ts";
import { type LeftInSqlite, leftInSqlite } from "./left-behind.ts";
import { LiveSource } from "./live-source.ts";

/**
 * Takes out of a copy of a SQLite database what a migration of the original had made in it by then: its log, its triggers, its
 * refusals. The copy takes writes then, and may be migrated by itself.
 * @param path a copy that nobody else has open; never the product's own file, whose migration would lose its writes
 * @returns what was in it; null where nothing was
 * @throws LifeboatError `SQLITE_NOT_FOUND` (usage), `SQLITE_UNREADABLE`, `SQLITE_BUSY`
 */
export function releaseCopy(path: string): LeftInSqlite | null {
  const source = LiveSource.open(path);
  try {
    const left = leftInSqlite(path);
    if (left !== null) source.write(() => removeTraces(source.db));
    return left;
  } finally {
    source.close();
  }
}
