import type { Client } from "pg";
import { finding, type MigrationFinding } from "../finding.ts";

/**
 * Removes the journal and schema `lifeboat`, in the caller's transaction: both go together, since without the journal no run
 * would find the schema again. Never by CASCADE: a role named lifeboat makes its own tables there, since the
 * schema bears its name; then the schema stays, and a finding says so.
 */
export async function removeOwnSchema(client: Client): Promise<MigrationFinding[]> {
  await client.query("DROP TABLE IF EXISTS lifeboat.migrations");
  await client.query("SAVEPOINT lifeboat_schema");
  try {
    await client.query("DROP SCHEMA IF EXISTS lifeboat");
    return [];
  } catch (cause) {
    if ((cause as { code?: string }).code !== "2BP01") throw cause;
    await client.query("ROLLBACK TO SAVEPOINT lifeboat_schema");
    return [
      finding({
        id: "schema-kept",
        severity: "warning",
        summary:
          "schema lifeboat holds objects that are not Lifeboat's, so it stays: move them, then drop it",
      }),
    ];
  }
}
