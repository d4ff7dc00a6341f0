import { type Report, reasonOf } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import { finding, type MigrationFinding } from "./finding.ts";
import { profileTable, type TableProfile } from "./profile.ts";
import { ProfileHelper } from "./profile-helper.ts";
import type { MigrationRequest } from "./request.ts";
import type { PlanSource } from "./source.ts";
import { foldName } from "./sqlite/schema.ts";

/** The profiles of all tables that go over and can be read, by folded name; and a finding for each that can't. */
export interface Profiles {
  readonly tables: ReadonlyMap<string, TableProfile>;
  readonly findings: readonly MigrationFinding[];
}

/** Below this another thread is not worth its start. */
const LARGE_BYTES = 32 * 1024 * 1024;

/** Profiles every table that no choice leaves out. */
export async function profileTables(
  source: PlanSource,
  request: MigrationRequest,
  report: Report,
): Promise<Profiles> {
  const { signal } = request;
  await using threads = new AsyncDisposableStack();
  const helper = source.bytes > LARGE_BYTES ? threads.use(new ProfileHelper(source.path)) : null;
  const tables = new Map<string, TableProfile>();
  const findings: MigrationFinding[] = [];
  for (const table of source.schema.tables) {
    if (request.choices?.[table.name]?.table === "skip") continue;
    try {
      tables.set(
        foldName(table.name),
        await profileTable({ source, table, helper, report, signal }),
      );
    } catch (cause) {
      // A collation or function of the application's own, or a damaged page.
      if (!(cause instanceof SqliteError)) throw cause;
      findings.push(
        finding({
          id: "table-unreadable",
          severity: "error",
          table: table.name,
          choices: [{ table: "skip" }],
          summary: `table ${table.name} can't be read outside its application: ${reasonOf(cause)}`,
        }),
      );
    }
  }
  return { tables, findings };
}
