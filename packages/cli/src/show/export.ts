import type { ExportReport } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { alsoFindings } from "./findings.ts";
import { facts } from "./table.ts";
import { duration, size } from "./units.ts";

/** What an export holds, and how to load it. */
export function showExport(report: ExportReport, commandLine: string): string {
  const seconds = (Date.parse(report.finishedAt) - Date.parse(report.startedAt)) / 1000;
  const from = report.path === undefined ? report.id : shellWord(report.path);
  const summary = facts([
    ["export", report.path ?? report.id],
    ["of", `${report.app}, database ${report.database} (PostgreSQL ${versionOf(report)})`],
    ["size", `${size(report.sourceBytes)}, stored as ${size(report.storedBytes)}`],
    ["dumped in", duration(seconds)],
    ["load it with", `${commandLine} import --from ${from} --into URL`],
  ]);
  return `${summary}${alsoFindings(report.findings)}`;
}

/** 150018 is 15.18. */
export function versionOf({ serverVersion }: { readonly serverVersion: number }): string {
  return `${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}`;
}
