import { isPageCount, isPageSize } from "../bounds.ts";
import type { DatabaseFacts } from "../hold/held.ts";
import { isLineage } from "../log/name.ts";
import { isLogPlace, type LogPlace } from "../wal/place.ts";
import type { IdleLog } from "./idle-log.ts";

/** What a backup asks of the watch in another process, one JSON document a line. */
export type HoldAsk =
  /** Hold the file still; answered once it is, or could not be for so long. */
  | { readonly ask: "hold"; readonly patienceMs: number }
  /** Whether it was held all the while; answered only by a watch that still does. */
  | { readonly ask: "still" }
  /** Up to when nothing was committed that is not stored. */
  | { readonly ask: "idle" };

/** The watch's answers. */
export type HoldAnswer =
  | Held
  | { readonly held: false; readonly lineage: string | null }
  | StillHeld
  | { readonly idle: IdleLog | null };

export interface Held {
  readonly held: true;
  readonly lineage: string | null;
  /** Of the file that it holds: device and inode. */
  readonly identity: string;
  /** ISO 8601 UTC. */
  readonly consistentAt: string;
  readonly place: LogPlace;
  readonly facts: DatabaseFacts;
  readonly gateMs: number;
}

export interface StillHeld {
  readonly still: boolean;
}

/** Far above any of them. */
export const LONGEST_WORD = 64 << 10;

/** Whether an answer says that the file is held, with every member that becomes part of a manifest. */
export function isHeld(value: unknown): value is Held {
  if (typeof value !== "object" || value === null) return false;
  const { held, lineage, identity, consistentAt, place, facts, gateMs } = value as Partial<Held>;
  return (
    held === true &&
    (lineage === null || isLineage(String(lineage))) &&
    typeof identity === "string" &&
    typeof consistentAt === "string" &&
    !Number.isNaN(Date.parse(consistentAt)) &&
    isLogPlace(place) &&
    areFacts(facts) &&
    typeof gateMs === "number" &&
    gateMs >= 0
  );
}

function areFacts(value: unknown): value is DatabaseFacts {
  if (typeof value !== "object" || value === null) return false;
  const facts = value as Partial<DatabaseFacts>;
  return (
    isPageSize(facts.pageSize) &&
    isPageCount(facts.pageCount) &&
    (facts.journalMode === "wal" || facts.journalMode === "rollback") &&
    Number.isSafeInteger(facts.applicationId) &&
    Number.isSafeInteger(facts.userVersion) &&
    typeof facts.sqliteVersion === "string"
  );
}
