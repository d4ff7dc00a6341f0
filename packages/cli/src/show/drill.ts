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
    ["drill", `${report.id}: ${verdict(report)}`],
    ["of backup", `${report.backup} (${report.engine})`],
    ...recoveries(report),
    ["recovery took", `${duration(seconds.total)}: ${partsOf(report)}`],
    ...(report.kept === null ? [] : [["copy left in", report.kept] as const]),
    ...(report.serverLog === null ? [] : [["its server's log", report.serverLog] as const]),
  ]);
  const lines = checks.map(({ name, ok, message }) =>
    ok
      ? `  ok      ${name}${SAYS_NO_MORE.has(message) ? "" : `: ${message}`}\n`
      : `  FAILED  ${name}: ${message}\n`,
  );
  return `${summary}\n${lines.join("")}${alsoFindings(report.findings)}`;
}

/** A copy that came back and was sound is told from one that was not, also where nobody else will hear of it. */
function verdict({ ok, checks, notRecorded }: DrillReport): string {
  if (ok) return "passed";
  const failed = checks.filter((check) => !check.ok);
  return notRecorded !== null && failed.length === 1
    ? "the copy came back sound, and this is NOT RECORDED"
    : "FAILED";
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
