import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError } from "./errors.ts";
import { idAt } from "./ids.ts";
import { isInstant, isRecord } from "./json-shape.ts";

/** A step of a migration as it went. */
export interface RecordedStep {
  readonly title: string;
  readonly ok: boolean;
  /** Why it failed; empty where it did not. */
  readonly message: string;
  readonly seconds: number;
}

/** One run of a verb that moves a product: who, when, each step, its result. Written once, after the run. */
export interface MigrationRecord {
  readonly ok: boolean;
  /** The instant at which the run began, and the verb: records sort by time. */
  readonly id: string;
  readonly app: string;
  /** The migration's id in the target's journal; null where the run ended before it was known. */
  readonly migration: string | null;
  /** `load`, `cutover`, `rollback`, `finish`, `abort`. */
  readonly verb: string;
  /** The account and the machine that ran it. */
  readonly user: string;
  readonly host: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly seconds: number;
  /** The engine that the product writes to since this run; null where the run did not move it. */
  readonly live: EngineKind | null;
  readonly steps: readonly RecordedStep[];
  /** What the verb measured, such as `holdSeconds`. No secret, no row of data. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Ids of records: the time as in backups' ids. */
export function migrationRecordId(startedAt: Date, verb: string): string {
  return `${idAt(startedAt)}-${verb}`;
}

/** The engine that the product lives in by the newest record that moved it; null where none did. */
export function recordedLive(records: readonly MigrationRecord[]): EngineKind | null {
  return records.findLast(({ live }) => live !== null)?.live ?? null;
}

/** The engine that took the product's writes at an instant, by the records; null where none moved it. */
export function recordedLiveAt(records: readonly MigrationRecord[], at: Date): EngineKind | null {
  const moves = records.flatMap(({ live, ...record }) =>
    live === null ? [] : [{ live, from: movedAtOf(record) }],
  );
  const since = moves.findLast(({ from }) => from <= at.getTime());
  if (since) return since.live;
  const [first] = moves;
  if (!first) return null;
  return first.live === "postgres" ? "sqlite" : "postgres";
}

/** A version that did not tell when writes began to go elsewhere has left the end of its run. */
function movedAtOf({ details, finishedAt }: Omit<MigrationRecord, "live">): number {
  return Date.parse(isInstant(details.movedAt) ? String(details.movedAt) : finishedAt);
}

/**
 * Proves that a value read from a repository is a migration's record.
 * @throws LifeboatError `MANIFEST_CORRUPT` naming the object
 */
export function assertMigrationRecordShape(
  value: Record<string, unknown>,
  object: string,
): MigrationRecord {
  const texts = ["id", "app", "verb", "user", "host"];
  const whole =
    typeof value.ok === "boolean" &&
    texts.every((member) => typeof value[member] === "string") &&
    (value.migration === null || typeof value.migration === "string") &&
    [null, "sqlite", "postgres"].includes(value.live as string | null) &&
    isInstant(value.startedAt) &&
    isInstant(value.finishedAt) &&
    isSeconds(value.seconds) &&
    Array.isArray(value.steps) &&
    value.steps.every(isStep) &&
    isRecord(value.details);
  // Records are obeyed in the order of their names, so a name may not speak of another time than its record.
  const isOwn = () =>
    value.id === migrationRecordId(new Date(value.startedAt as string), value.verb as string);
  if (whole && isOwn()) return value as unknown as MigrationRecord;
  throw new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `${object} is no record of a migration`,
    remedy: "bring this object back from a copy of the repository",
    details: { object },
  });
}

function isStep(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value.title === "string" &&
    typeof value.ok === "boolean" &&
    typeof value.message === "string" &&
    isSeconds(value.seconds)
  );
}

function isSeconds(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}
