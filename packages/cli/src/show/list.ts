import type { BackupList } from "@lifeboat/core";
import { inOneLine } from "../printable.ts";
import { versionOf } from "./export.ts";
import { showProblems } from "./problems.ts";
import { table } from "./table.ts";
import { size } from "./units.ts";

/** Backups, oldest first, then the spans in which every instant can be restored. Instants are UTC. */
export function showList(report: BackupList, commandLine: string): string {
  const { backups, exports, problems } = report;
  if (backups.length + exports.length + problems.length === 0)
    return `no backup of ${report.app} yet: ${commandLine} backup\n`;
  const parts = [backupsOf(report), damageOf(report), windowsOf(report), exportsOf(report)];
  return [...parts, showProblems(problems)].filter((part) => part !== "").join("\n");
}

function backupsOf({ backups }: BackupList): string {
  const columns = [
    { title: "backup" },
    { title: "engine" },
    { title: "database" },
    { title: "state of (UTC)" },
    { title: "size", right: true },
    { title: "stored", right: true },
    { title: "label" },
  ];
  const rows = backups.map((each) => [
    each.id,
    each.engine,
    each.database,
    each.consistentAt,
    size(each.sourceBytes),
    size(each.storedBytes),
    each.label ?? "",
  ]);
  return rows.length === 0 ? "" : table(columns, rows);
}

function damageOf({ backups }: BackupList): string {
  const lines = backups.flatMap(({ id, damage }) =>
    damage.length === 0 ? [] : [`${id} is DAMAGED: ${inOneLine(damage.join("; "))}\n`],
  );
  return lines.join("");
}

function windowsOf({ windows }: BackupList): string {
  // Only Postgres has them.
  const timelines = windows.some(({ timeline }) => timeline !== null);
  const columns = [
    { title: "restorable" },
    { title: "database" },
    ...(timelines ? [{ title: "timeline", right: true }] : []),
    { title: "from (UTC)" },
    { title: "to (UTC)" },
  ];
  const rows = windows.map(({ engine, database, timeline, from, to }) => [
    engine,
    database,
    ...(timelines ? [timeline === null ? "" : String(timeline)] : []),
    from,
    from === to ? "only this instant" : to,
  ]);
  return rows.length === 0 ? "" : table(columns, rows);
}

function exportsOf({ exports }: BackupList): string {
  const columns = [
    { title: "export" },
    { title: "database" },
    { title: "server" },
    { title: "dumped at (UTC)" },
    { title: "size", right: true },
    { title: "stored", right: true },
  ];
  const rows = exports.map((each) => [
    each.id,
    each.database,
    versionOf(each),
    each.startedAt,
    size(each.sourceBytes),
    size(each.storedBytes),
  ]);
  return rows.length === 0 ? "" : table(columns, rows);
}
