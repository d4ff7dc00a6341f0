import { uptime } from "node:os";
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
  /** How long the machine had been up then, in seconds, which no clock changes. A note of an earlier version has none. */
  readonly uptime?: number | undefined;
  /** Of a watch that has ended: how it left the file, with all of this copied back. */
  readonly rest?: FileAtRest | undefined;
}

/** `/proc/uptime` tells hundredths; instants are exact to one look at the WAL anyhow. */
const UPTIME_TICK_S = 0.02;

/** What is known since an instant, in ms, that was this clock's. */
export function idleUntil(instant: number): Pick<IdleLog, "until" | "uptime"> {
  const since = (Date.now() - instant) / 1000;
  return { until: new Date(instant).toISOString(), uptime: rounded(uptime() - since) };
}

/**
 * Up to when it is known, in ms, by the clock as it goes now. One that was ahead at that look and was set back since would have
 * it claim time that had not come yet, in which the database was written with no watch beside it: so much must have passed
 * since then as the machine has been up longer, or since it was started anew.
 */
export function knownUntil({ until, uptime: then = uptime() }: IdleLog): number {
  const now = uptime();
  const passed = Math.max(0, (now < then ? now : now - then) - UPTIME_TICK_S);
  return Math.min(Date.parse(until), Date.now() - passed * 1000);
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

export function isIdleLog(value: unknown): value is IdleLog {
  if (typeof value !== "object" || value === null) return false;
  const { lineage, number, until, uptime, rest } = value as Partial<IdleLog>;
  return (
    (rest === undefined || isFileAtRest(rest)) &&
    (uptime === undefined || Number.isFinite(uptime)) &&
    typeof lineage === "string" &&
    isLineage(lineage) &&
    Number.isSafeInteger(number) &&
    typeof until === "string" &&
    !Number.isNaN(Date.parse(until))
  );
}
