import type {
  AbortReport,
  CutoverReport,
  FollowReport,
  MigrationStatus,
  SyncReport,
} from "@lifeboat/migrate";
import type { Rehearsal } from "../rehearse/rehearse-cutover.ts";
import { showMigrationFindings } from "./migration.ts";
import { facts, table } from "./table.ts";
import { ago, duration } from "./units.ts";

const FOLLOWED_COLUMNS = [
  { title: "table" },
  { title: "rows written", right: true },
  { title: "rows removed", right: true },
];

/** What was brought over, and how much waits still. */
export function showSync(report: SyncReport | FollowReport): string {
  const rows = report.tables.map((each) => [each.name, String(each.written), String(each.removed)]);
  const shown = rows.length > 0 ? `${table(FOLLOWED_COLUMNS, rows)}\n` : "";
  const forward = report.direction === "sqlite-to-postgres";
  return `${shown}${facts([
    ["followed", forward ? "SQLite's writes in Postgres" : "Postgres' writes in SQLite"],
    ["brought", `${report.rows} rows in ${report.batches} batches`],
    ...("waiting" in report ? [["waiting", `${report.waiting} changes`] as const] : []),
    ["took", duration(report.seconds)],
  ])}`;
}

/** Where the product lives now, and how long anybody waited for it. */
export function showCutover(report: CutoverReport, commandLine: string): string {
  const gates = report.gates.map(({ name, ok, skipped, message }) => [
    name,
    ok ? "met" : skipped ? "PASSED OVER" : "not met",
    message,
  ]);
  const shown =
    gates.length > 0
      ? `${table([{ title: "gate" }, { title: "" }, { title: "found" }], gates)}\n`
      : "";
  const summary = facts([
    ["live now", `Postgres, since ${report.movedAt}; SQLite refuses writes`],
    ...(report.backups.length > 0 ? [["backups", report.backups.join(", ")] as const] : []),
    ["last changes", `${report.rows} rows`],
    ["writers held", duration(report.holdSeconds)],
    ["writes refused", duration(report.switchSeconds)],
    ["took", duration(report.seconds)],
    ["the way back", `${commandLine} migrate rollback`],
    ["end it with", `${commandLine} migrate finish`],
  ]);
  return `${shown}${showMigrationFindings(report.findings)}${summary}`;
}

/** The times that the real one should have. */
export function showRehearsal(report: Rehearsal, commandLine: string): string {
  const rows = report.steps.map(({ title, seconds }) => [title, duration(seconds)]);
  const steps = table([{ title: "step" }, { title: "took", right: true }], rows);
  const summary = facts([
    ["rehearsed", "on copies, which are gone; nothing of the product was touched"],
    [
      "traffic",
      report.commits === null
        ? "none (the configuration names no traffic)"
        : `${report.commits} commits`,
    ],
    ["writers held", duration(report.holdSeconds)],
    ["writes refused", duration(report.switchSeconds)],
    ["held on the way back", duration(report.rollback.holdSeconds)],
    ["refused on the way back", duration(report.rollback.switchSeconds)],
    ["took", duration(report.seconds)],
    ["the real one", `${commandLine} migrate cutover`],
  ]);
  return `${steps}\n${showMigrationFindings(report.findings)}${summary}`;
}

export function showAbort(report: AbortReport): string {
  const dropped = report.tables.some((one) => one.dropped);
  const summary = facts([
    ["aborted", "nothing of the migration is left in SQLite"],
    [
      "Postgres",
      dropped
        ? "what was loaded is dropped"
        : `${report.tables.length} loaded tables stay: drop them before another load`,
    ],
  ]);
  return `${showMigrationFindings(report.findings)}${summary}`;
}

function refusing({ refusedUntil }: MigrationStatus): string {
  return `REFUSES writes${refusedUntil === null ? "" : `, by itself until ${refusedUntil}`}`;
}

function sqliteInWords(status: MigrationStatus): string {
  if (status.refused) return refusing(status);
  if (!status.captured) return "is left alone";
  // What is left there then is how far it followed Postgres.
  return status.phase === "rolled-back" ? "takes writes, which are not logged" : "logs its writes";
}

export function showMigrationStatus(status: MigrationStatus, commandLine: string): string {
  const at = (instant: string | null) =>
    instant === null ? "never" : `${instant}, ${ago(instant)}`;
  const summary = facts([
    ["phase", status.phase],
    ...(status.id === null ? [] : [["migration", status.id] as const]),
    ["loaded", at(status.loadedAt)],
    ["found equal", at(status.verifiedAt)],
    ["last brought", at(status.appliedAt)],
    ["waiting", status.waiting === null ? "nothing is followed" : `${status.waiting} changes`],
    ["SQLite", sqliteInWords(status)],
    ...(status.id === null
      ? []
      : [["Postgres", status.targetRefused ? "REFUSES writes" : "takes writes"] as const]),
    ["at work now", status.isRunning ? "yes" : "no"],
    ["next", `${commandLine} ${status.next}`],
  ]);
  return `${showMigrationFindings(status.findings)}${summary}`;
}
