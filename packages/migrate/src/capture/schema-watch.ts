import type { Database } from "better-sqlite3";
import { STATE_TABLE } from "../sqlite/own-objects.ts";
import { schemaDigest } from "../sqlite/schema-digest.ts";

/**
 * What became of the schema since it was noted. `renumbered`: it reads the same and yet was written anew, as VACUUM does,
 * which gives tables without a key new rowids and fires no trigger.
 */
export type SchemaSince = "same" | "renumbered" | "changed";

/** Notes the schema as it is now, in the caller's transaction, after the last object was made in it. */
export function noteSchema(db: Database): void {
  const digest = schemaDigest(db);
  db.prepare(`UPDATE ${STATE_TABLE} SET schema_version = ?, schema_digest = ?`).run(
    schemaVersion(db),
    digest,
  );
}

/** Compares the schema with what was noted; cheap where nothing happened. Call it in the transaction that reads. */
export function schemaSince(db: Database): SchemaSince {
  const noted = db
    .prepare<[], { version: bigint | number; digest: string }>(
      `SELECT schema_version AS version, schema_digest AS digest FROM ${STATE_TABLE}`,
    )
    .get();
  if (!noted) return "changed";
  if (BigInt(noted.version) === schemaVersion(db)) return "same";
  return noted.digest === schemaDigest(db) ? "renumbered" : "changed";
}

export function schemaVersion(db: Database): bigint {
  return BigInt(db.pragma("schema_version", { simple: true }) as bigint | number);
}
