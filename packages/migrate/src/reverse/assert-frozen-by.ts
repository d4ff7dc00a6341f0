import { LifeboatError } from "@lifeboat/core";
import type { Database } from "better-sqlite3";
import { capturedFor } from "../capture/install-capture.ts";

/**
 * A copy from before the cutover, or of another migration, lacks what Postgres does not hold in its log, and nobody would notice.
 * @throws LifeboatError `SQLITE_REPLACED` (refused)
 */
export function assertFrozenBy(db: Database, migration: string): void {
  const owner = capturedFor(db);
  if (owner === migration) return;
  throw new LifeboatError({
    code: "SQLITE_REPLACED",
    kind: "refused",
    message: `${db.name} is not the file that migration ${migration} froze: ${owner === null ? "it holds nothing of a migration" : `it is held by migration ${owner}`}`,
    remedy:
      "name the file that was frozen in sqlite.path, or bring it back; from another one no way leads back. Nothing was changed",
    details: { migration, owner },
  });
}
