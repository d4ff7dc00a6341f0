import type { Finding } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import type { Connection } from "../driver.ts";

/** As `lifeboat migrate` names what it makes in the product's database: its state, and the triggers that log writes. */
const STATE = "lifeboat_state";
const CAPTURE = "lifeboat_capture_*";

/**
 * What a migration had made in the database by then lies in its copies, too: one of the time after the freeze refuses the product's
 * writes, one of the time before it logs them for nobody.
 * @param path where the copy will lie
 */
export function migrationFinding(connection: Connection, path: string): Finding[] {
  const does = refuses(connection)
    ? "refuses the product's writes, as one that has moved"
    : captures(connection)
      ? "logs each write for it"
      : undefined;
  if (does === undefined) return [];
  return [
    {
      id: "copy-of-a-migration",
      severity: "warning",
      summary: `the copy is of the time of a migration: it ${does}`,
      remedy: `before the product writes there: lifeboat migrate release ${shellWord(path)}`,
    },
  ];
}

/** Refusals that end by themselves are over by now. */
function refuses(connection: Connection): boolean {
  const columns = connection
    .prepare(`SELECT name FROM pragma_table_info('${STATE}')`)
    .pluck()
    .all();
  if (!columns.includes("refused")) return false;
  const forGood = columns.includes("until") ? "AND until IS NULL" : "";
  return (
    connection.prepare(`SELECT 1 FROM ${STATE} WHERE refused = 1 ${forGood}`).get() !== undefined
  );
}

function captures(connection: Connection): boolean {
  const sql = `SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '${CAPTURE}' LIMIT 1`;
  return connection.prepare(sql).get() !== undefined;
}
