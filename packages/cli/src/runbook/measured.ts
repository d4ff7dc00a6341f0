import type { BackupSummary, DrillRecord, EngineKind, MigrationRecord } from "@lifeboat/core";
import { duration, size } from "../show/units.ts";
import type { RunbookFacts } from "./facts.ts";

export const UNKNOWN = "unknown: not measured yet";

/** The newest of an engine's. */
export function lastBackup(facts: RunbookFacts, engine: EngineKind): BackupSummary | undefined {
  return facts.list?.backups.findLast((backup) => backup.engine === engine);
}

/** The newest that passed, of an engine. */
export function lastDrill(facts: RunbookFacts, engine: EngineKind): DrillRecord | undefined {
  return facts.drills.findLast((drill) => drill.engine === engine && drill.ok);
}

/** The newest run of one of these verbs that went well and moved the product: one that found it moved already has held nobody. */
export function lastMove(
  { migrations }: RunbookFacts,
  ...verbs: readonly string[]
): MigrationRecord | undefined {
  return migrations.findLast(
    ({ verb, ok, details }) => ok && verbs.includes(verb) && details.holdSeconds !== 0,
  );
}

/** A rehearsal runs the same steps. */
export function lastCutover(facts: RunbookFacts): MigrationRecord | undefined {
  return lastMove(facts, "cutover", "rehearse");
}

export function backupSeconds({ startedAt, finishedAt }: BackupSummary): number {
  return Math.max(0, (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000);
}

export function backupInWords(backup: BackupSummary | undefined): string {
  if (!backup) return "none yet";
  const sizes = `${size(backup.sourceBytes)}, stored as ${size(backup.storedBytes)}`;
  const took = duration(backupSeconds(backup));
  return `${backup.id}: state of ${backup.consistentAt}, ${sizes}, took ${took}`;
}

export function drillInWords(drill: DrillRecord | undefined): string {
  if (!drill) return "none that passed yet";
  return `${drill.id}: the whole recovery took ${duration(drill.seconds.total)}`;
}

/** Seconds that a drill took to have the copy, and to have it up. */
export function recoveryInWords(drill: DrillRecord | undefined): string {
  if (!drill) return UNKNOWN;
  const { fetch, restore, replay } = drill.seconds;
  return `${duration(fetch + restore)} for the copy, ${duration(replay)} for its recovery (drill ${drill.id})`;
}

export function measured(seconds: number | undefined, source: string): string {
  return seconds === undefined ? UNKNOWN : `${duration(seconds)} (${source})`;
}
