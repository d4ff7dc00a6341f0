import { removeTraces } from "./freeze.ts";
import { LiveSource } from "./live-source.ts";

/**
 * Takes out of a copy of a SQLite database what a migration of the original had made in it by then: its log, its triggers, its
 * refusals. The copy takes writes then, and may be migrated by itself. Does nothing where nothing is in it.
 * @param path a copy that nobody else has open; never the product's own file, whose migration would lose its writes
 * @throws LifeboatError `SQLITE_NOT_FOUND` (usage), `SQLITE_UNREADABLE`
 */
export function releaseCopy(path: string): void {
  const source = LiveSource.open(path);
  try {
    source.write(() => removeTraces(source.db));
  } finally {
    source.close();
  }
}
