import { type DatabaseFolder, type Manifest, WatchNotes } from "@lifeboat/core";
import { detailsOf } from "../details.ts";
import { chainStart } from "../log/chain.ts";
import { lineagesOf, noteOf } from "../log/objects.ts";
import { lineageOf, newestLineage } from "../log/order.ts";
import type { LogPlace } from "../wal/place.ts";
import type { FileAtRest } from "./file-at-rest.ts";
import { isIdleLog } from "./idle-log.ts";
import type { SegmentSeat } from "./pending-segment.ts";

/** Where the newest lineage ended: what comes next belongs there, if the WAL still holds that place. */
export interface LineageEnd {
  readonly seat: SegmentSeat;
  readonly place: LogPlace;
  /** Of its last commit, in ms since 1970; instants go on from there. */
  readonly instant: number;
  /** How a watch of this host left the file when it ended here, in order. */
  readonly rest?: FileAtRest | undefined;
}

/**
 * The end of the newest lineage that has a backup to start from; undefined where there is none.
 * @throws LifeboatError when its last segment is damaged
 */
export async function newestLineageEnd(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
): Promise<LineageEnd | undefined> {
  const lineage = newestLineage(backups);
  const base = backups.findLast((each) => lineageOf(each) === lineage);
  const log = base && detailsOf(base).log;
  if (lineage === undefined || !log) return undefined;
  const objects = (await lineagesOf(folder)).get(lineage) ?? [];
  const last = objects
    .filter(({ kind }) => kind === "frames")
    .reduce<(typeof objects)[number] | undefined>(
      (best, each) => (best && best.last >= each.last ? best : each),
      undefined,
    );
  if (!last)
    return {
      seat: { lineage, number: 1, before: chainStart(lineage) },
      place: log.place,
      instant: Date.parse(base.consistentAt),
    };
  const { chain, end } = await noteOf(folder, last);
  return {
    seat: { lineage, number: last.last + 1, before: chain.after },
    place: end,
    instant: last.instant,
  };
}

/** The same with what the last watch of this account noted when it ended, if it ended there. */
export async function withRest(
  end: LineageEnd,
  folder: DatabaseFolder,
  directory: string | undefined,
): Promise<LineageEnd> {
  if (directory === undefined) return end;
  const note = await new WatchNotes(directory).read(folder);
  const { idle } = (note?.facts ?? {}) as { idle?: unknown };
  if (!isIdleLog(idle)) return end;
  const isHere = idle.lineage === end.seat.lineage && idle.number === end.seat.number - 1;
  return isHere ? { ...end, rest: idle.rest } : end;
}

/** Of the last watch's word what the next one still reads: a word of the time in between has to keep it. */
export async function keptWord(
  folder: DatabaseFolder,
  directory: string | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const note = directory === undefined ? null : await new WatchNotes(directory).read(folder);
  const { idle, lastSegment } = note?.facts ?? {};
  return { idle, lastSegment };
}

/** What lies before it, in words. */
export function lastOf({ seat, instant }: LineageEnd): string {
  return `segment ${seat.number - 1} of ${seat.lineage}, at ${new Date(instant).toISOString()}`;
}
