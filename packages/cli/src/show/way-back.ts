import type { FinishReport, FollowedTable, RollbackReport } from "@lifeboat/migrate";
import { showMigrationFindings } from "./migration.ts";
import { facts, table } from "./table.ts";
import { duration } from "./units.ts";

/** What went back, and how long anybody waited for it. */
export function showRollback(report: RollbackReport, commandLine: string): string {
  const summary = facts([
    ["live now", `SQLite, since ${report.movedAt}; Postgres refuses writes`],
    ["brought back", `${report.rows} rows`],
    ["writers held", duration(report.holdSeconds)],
    ["writes refused", duration(report.switchSeconds)],
    ["took", duration(report.seconds)],
    ["end it with", `${commandLine} migrate finish`],
    ["to load anew", "end it with --drop-loaded, which leaves an empty target"],
  ]);
  return `${showFollowed(report.tables)}${showMigrationFindings(report.findings)}${summary}`;
}

/** Where the product stays. */
export function showFinish(report: FinishReport): string {
  const summary = facts([
    ["live", liveInWords(report)],
    ...(report.live === "sqlite" ? [["Postgres", loadedInWords(report)] as const] : []),
    ["took", duration(report.seconds)],
  ]);
  return `${showFollowed(report.tables)}${showMigrationFindings(report.findings)}${summary}`;
}

function loadedInWords({ dropped }: FinishReport): string {
  return dropped
    ? "what was loaded is dropped"
    : "the loaded tables stay there: drop them by hand before another load";
}

function liveInWords({ live, findings }: FinishReport): string {
  if (live === "sqlite") return "SQLite, and nothing of the migration is left in it";
  // What was left is told by its finding.
  return findings.length > 0
    ? "Postgres"
    : "Postgres, and nothing of the migration is left on either side";
}

function showFollowed(tables: readonly FollowedTable[]): string {
  if (tables.length === 0) return "";
  const columns = [
    { title: "table" },
    { title: "changes", right: true },
    { title: "rows written", right: true },
  ];
  const rows = tables.map((each) => [each.name, String(each.changes), String(each.written)]);
  return `${table(columns, rows)}\n`;
}
