import { isLineage } from "../log-name.ts";

/**
 * What only the watch knows of a database that is idle: nothing was committed behind the last segment up to an instant,
 * that of its last look. The repository says no such thing, since nothing is written to it meanwhile.
 */
export interface IdleLog {
  readonly lineage: string;
  /** Of the last segment that is stored; 0 where none is yet. */
  readonly number: number;
  /** ISO 8601 UTC. */
  readonly until: string;
}

export function isIdleLog(value: unknown): value is IdleLog {
  if (typeof value !== "object" || value === null) return false;
  const { lineage, number, until } = value as Partial<IdleLog>;
  return (
    typeof lineage === "string" &&
    isLineage(lineage) &&
    Number.isSafeInteger(number) &&
    typeof until === "string" &&
    !Number.isNaN(Date.parse(until))
  );
}
