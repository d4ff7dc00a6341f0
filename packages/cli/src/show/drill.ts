import type { DrillReport } from "@lifeboat/core";
import { alsoFindings } from "./findings.ts";
import { facts } from "./table.ts";
import { duration } from "./units.ts";

/** What a check says that only means that it passed. */
const SAYS_NO_MORE: ReadonlySet<string> = new Set(["ok", "true"]);

/** Whether the copy was sound, and how long a recovery takes. */
export function showDrill(report: DrillReport): string {
  const { seconds, checks } = report;
  const summary = facts([
    ["drill", `${report.id}: ${report.ok ? "passed" : "FAILED"}`],
    ["of backup", `${report.backup} (${report.engine})`],
    ...recoveries(report),
    ["recovery took", `${duration(seconds.total)}: ${partsOf(report)}`],
    ...(report.kept === null ? [] : [["copy left in", report.kept] as const]),
    ...(report.serverLog === null ? [] : [["its server's log", report.serverLog] as const]),
    ...(report.notRecorded === null
      ? []
      : [["NOT RECORDED", `${report.notRecorded}: status will not know of this drill`] as const]),
  ]);
  const lines = checks.map(({ name, ok, message }) =>
    ok
      ? `  ok      ${name}${SAYS_NO_MORE.has(message) ? "" : `: ${message}`}\n`
      : `  FAILED  ${name}: ${message}\n`,
  );
  return `${summary}\n${lines.join("")}${alsoFindings(report.findings)}`;
}

function recoveries({ recoveredTo, databases }: DrillReport): (readonly [string, string])[] {
  const said = (instant: string | null) => instant ?? "the backup's own state";
  if (databases === undefined) return [["recovered to", said(recoveredTo)]];
  return databases.map((each) => [`${each.database} recovered to`, said(each.recoveredTo)]);
}

function partsOf({ seconds }: DrillReport): string {
  const parts = ["fetch", "restore", "replay", "checks"] as const;
  return parts.map((part) => `${part} ${duration(seconds[part])}`).join(", ");
}
