import { isLineage } from "../log/name.ts";
import { type FileAtRest, isFileAtRest } from "./file-at-rest.ts";

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
  /** Of a watch that has ended: how it left the file, with all of this copied back. */
  readonly rest?: FileAtRest | undefined;
}

export function isIdleLog(value: unknown): value is IdleLog {
  if (typeof value !== "object" || value === null) return false;
  const { lineage, number, until, rest } = value as Partial<IdleLog>;
  return (
    (rest === undefined || isFileAtRest(rest)) &&
    typeof lineage === "string" &&
    isLineage(lineage) &&
    Number.isSafeInteger(number) &&
    typeof until === "string" &&
    !Number.isNaN(Date.parse(until))
  );
}
