import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError } from "./errors.ts";
import { idAt } from "./ids.ts";
import { isInstant, isRecord } from "./json-shape.ts";

/** One of several databases that were drilled together. */
export interface DrilledDatabase {
  readonly database: string;
  readonly backup: string;
  readonly recoveredTo: string | null;
}

export interface DrillRecord {
  readonly ok: boolean;
  readonly id: string;
  readonly app: string;
  readonly engine: EngineKind;
  readonly database: string;
  readonly backup: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** The instant of the last commit in the copy; null when it holds none since its base. */
  readonly recoveredTo: string | null;
  /** Of several databases, each by itself; `recoveredTo` is the earliest. Records before it have none. */
  readonly databases?: readonly DrilledDatabase[];
  readonly seconds: {
    readonly fetch: number;
    readonly restore: number;
    readonly replay: number;
    readonly checks: number;
    readonly total: number;
  };
  readonly checks: readonly { name: string; ok: boolean; message: string }[];
}

/** Ids of drills: the time as in backups' ids. */
export function drillId(startedAt: Date): string {
  return idAt(startedAt);
}

/**
 * Proves that a value read from a repository is a drill's record.
 * @throws LifeboatError `MANIFEST_CORRUPT` naming the object
 */
export function assertDrillShape(value: Record<string, unknown>, object: string): DrillRecord {
  const texts = ["id", "app", "engine", "database", "backup"];
  const { seconds } = value;
  const whole =
    typeof value.ok === "boolean" &&
    texts.every((member) => typeof value[member] === "string") &&
    isInstant(value.startedAt) &&
    isInstant(value.finishedAt) &&
    (value.recoveredTo === null || typeof value.recoveredTo === "string") &&
    isRecord(seconds) &&
    ["fetch", "restore", "replay", "checks", "total"].every((part) => isSeconds(seconds[part])) &&
    Array.isArray(value.checks) &&
    value.checks.every(isAnswer) &&
    (value.databases === undefined ||
      (Array.isArray(value.databases) && value.databases.every(isDatabase)));
  // The newest by its name is what counts, so a name may not speak of another time than its record.
  if (whole && value.id === drillId(new Date(value.startedAt as string)))
    return value as unknown as DrillRecord;
  throw new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `${object} is no record of a drill`,
    remedy: "remove it, and drill again: lifeboat drill",
    details: { object },
  });
}

function isSeconds(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}

function isAnswer(value: unknown): boolean {
  const texts = ["name", "message"];
  return (
    isRecord(value) &&
    typeof value.ok === "boolean" &&
    texts.every((member) => typeof value[member] === "string")
  );
}

function isDatabase(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value.database === "string" &&
    typeof value.backup === "string" &&
    (value.recoveredTo === null || typeof value.recoveredTo === "string")
  );
}
