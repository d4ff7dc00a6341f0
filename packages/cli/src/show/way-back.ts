import type { FinishReport, FollowedTable, RollbackReport } from "@lifeboat/migrate";
import { showMigrationFindings } from "./migration.ts";
import { facts, table } from "./table.ts";
import { duration } from "./units.ts";

/** What went back, and how long anybody waited for it. */
export function showRollback(report: RollbackReport, commandLine: string): string {
  const summary = facts([
    ["live now", "SQLite; Postgres refuses writes"],
    ["brought back", `${report.rows} rows`],
    ["writers held", duration(report.holdSeconds)],
    ["writes refused", duration(report.switchSeconds)],
    ["took", duration(report.seconds)],
    ["end it with", `${commandLine} migrate finish`],
  ]);
  return `${showFollowed(report.tables)}${showMigrationFindings(report.findings)}${summary}`;
}

/** Where the product stays. */
export function showFinish(report: FinishReport): string {
  const stays = report.live === "sqlite" ? "SQLite" : "Postgres";
  const summary = facts([
    ["live", `${stays}, and nothing of the migration is left on either side`],
    ["took", duration(report.seconds)],
  ]);
  return `${showFollowed(report.tables)}${showMigrationFindings(report.findings)}${summary}`;
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
