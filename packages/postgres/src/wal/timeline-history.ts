import { LifeboatError } from "@lifeboat/core";
import { type Lsn, parseLsn } from "./lsn.ts";

/** One step of a timeline's descent: up to `switchPoint` the WAL of `timeline` counts. */
export interface TimelineStep {
  readonly timeline: number;
  readonly switchPoint: Lsn;
}

/**
 * Reads a timeline history file as the server writes it: one line a parent, oldest first, of
 * timeline, switch point and reason, parted by tabs; `#` begins a comment.
 * @param what names the file or object in messages
 * @throws LifeboatError `WAL_INVALID` when it is none, or not of this timeline
 */
export function parseTimelineHistory(text: string, timeline: number, what: string): TimelineStep[] {
  const steps: TimelineStep[] = [];
  for (const line of text.split("\n")) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [, number, position] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? [];
    const parent = Number(number);
    const switchPoint = parseLsn(position ?? "");
    const before = steps.at(-1)?.timeline ?? 0;
    if (switchPoint === undefined || !(parent > before && parent < timeline)) throw invalid(what);
    steps.push({ timeline: parent, switchPoint });
  }
  if (steps.length === 0) throw invalid(what);
  return steps;
}

function invalid(what: string): LifeboatError {
  return new LifeboatError({
    code: "WAL_INVALID",
    kind: "refused",
    message: `${what} is no timeline history`,
    remedy: "bring it back from the data directory's pg_wal of the server that was promoted",
    details: { file: what },
  });
}
