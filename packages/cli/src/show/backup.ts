import type { BackupReport } from "@lifeboat/core";
import { alsoFindings } from "./findings.ts";
import { facts, table } from "./table.ts";
import { duration, size } from "./units.ts";

/** What a backup holds, and how to restore it. */
export function showBackup(report: BackupReport, commandLine: string): string {
  const seconds = (Date.parse(report.finishedAt) - Date.parse(report.startedAt)) / 1000;
  const summary = facts([
    ["backup", report.id],
    ["of", `${report.app}, ${report.engine} ${namesOf(report)}`],
    ["holds the state of", report.consistentAt],
    ["size", `${size(report.sourceBytes)}, stored as ${size(report.storedBytes)}`],
    ...reusedOf(report),
    ["took", duration(seconds)],
    ["restore it with", `${commandLine} restore --backup ${report.id} --to DIRECTORY`],
  ]);
  return `${summary}${eachDatabase(report)}${alsoFindings(report.findings)}`;
}

/** Counted in the size. */
function reusedOf({ reused }: BackupReport): (readonly [string, string])[] {
  if (reused.objects === 0) return [];
  const { sourceBytes, storedBytes } = reused;
  const words = `${size(sourceBytes)}, stored as ${size(storedBytes)}, from the backup that was interrupted`;
  return [["taken over", words]];
}

function namesOf({ databases }: BackupReport): string {
  return databases.map(({ database }) => database).join(", ");
}

function eachDatabase({ databases }: BackupReport): string {
  if (databases.length < 2) return "";
  const rows = databases.map((each) => [
    each.database,
    each.consistentAt,
    size(each.sourceBytes),
    size(each.storedBytes),
  ]);
  const columns = [
    { title: "database" },
    { title: "state of" },
    { title: "size", right: true },
    { title: "stored", right: true },
  ];
  return `\n${table(columns, rows)}`;
}
