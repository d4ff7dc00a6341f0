import type { Status } from "@lifeboat/core";
import { showFindings } from "./findings.ts";
import { facts } from "./table.ts";
import { ago, duration, size } from "./units.ts";

/** How an app stands: what could be restored now, and what wants attention. */
export function showStatus(status: Status, commandLine: string): string {
  const { lastBackup, lastDrill } = status;
  const summary = facts([
    ["app", status.live === null ? status.app : `${status.app}, live on ${status.live}`],
    [
      "last backup",
      lastBackup
        ? `${lastBackup.id}, ${ago(lastBackup.finishedAt)} (${lastBackup.engine}, ${size(lastBackup.storedBytes)})`
        : `none: ${commandLine} backup`,
    ],
    [
      "last drill",
      lastDrill
        ? `${lastDrill.ok ? "passed" : "FAILED"} ${ago(lastDrill.finishedAt)}, recovery took ${duration(lastDrill.seconds.total)}`
        : `none: ${commandLine} drill`,
    ],
    ...status.windows.map(
      ({ engine, from, to }) =>
        [`restorable (${engine})`, from === to ? `${from} only` : `${from} to ${to}`] as const,
    ),
    ...archiveOf(status),
  ]);
  return status.alerts.length === 0 ? summary : `${summary}\n${showFindings(status.alerts)}`;
}

function archiveOf({ archive }: Status): (readonly [string, string])[] {
  if (archive === null) return [];
  const words = [archive.ok ? "healthy" : "FAILING"];
  if (archive.lagSeconds !== null) words.push(`${duration(archive.lagSeconds)} behind`);
  if (archive.lagBytes !== null) words.push(`${size(archive.lagBytes)} behind`);
  if (archive.lastSegment !== null) words.push(`last ${archive.lastSegment}`);
  return [["log shipping", words.join(", ")]];
}
