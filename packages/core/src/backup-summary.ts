import type { EngineKind } from "./engine-kind.ts";
import { isCount, isRecord } from "./json-shape.ts";
import type { BackupType, Manifest } from "./manifest.ts";

/** A backup as `backup` and `list` show it. */
export interface BackupSummary {
  readonly id: string;
  readonly app: string;
  readonly engine: EngineKind;
  readonly database: string;
  readonly type: BackupType;
  readonly parent: string | null;
  readonly label: string | null;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly sourceBytes: number;
  readonly storedBytes: number;
  readonly consistentAt: string;
  /** What was damaged in the database when it was backed up, and is so in the backup; empty as a rule. */
  readonly damage: readonly string[];
  /** What an interrupted backup had stored and this one took over; zeros as a rule. Counted in the sizes above. */
  readonly reused: Reused;
}

export interface Reused {
  readonly objects: number;
  readonly sourceBytes: number;
  readonly storedBytes: number;
}

/** Engines say so in their details. */
export function damageIn({ details }: Manifest): readonly string[] {
  const { damage } = details;
  return Array.isArray(damage) ? damage.map(String) : [];
}

/** Engines say so in their details. */
function reusedIn({ details }: Manifest): Reused {
  const { objects, sourceBytes, storedBytes } = isRecord(details.reused) ? details.reused : {};
  const count = (value: unknown) => (isCount(value) ? (value as number) : 0);
  return {
    objects: count(objects),
    sourceBytes: count(sourceBytes),
    storedBytes: count(storedBytes),
  };
}

export function summaryOf(manifest: Manifest): BackupSummary {
  const { id, app, engine, database, type, parent, label } = manifest;
  const { startedAt, finishedAt, sourceBytes, storedBytes, consistentAt } = manifest;
  return {
    id,
    app,
    engine,
    database,
    type,
    parent,
    label,
    startedAt,
    finishedAt,
    sourceBytes,
    storedBytes,
    consistentAt,
    damage: damageIn(manifest),
    reused: reusedIn(manifest),
  };
}
