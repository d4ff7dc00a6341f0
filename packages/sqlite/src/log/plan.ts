import {
  type DatabaseFolder,
  LifeboatError,
  type Manifest,
  type RecoveryTarget,
} from "@lifeboat/core";
import { detailsOf } from "../details.ts";
import { coverOf } from "./cover.ts";
import type { Mark, SegmentNote } from "./note.ts";
import { type Lineages, type LogObject, lineagesOf, noteOf } from "./objects.ts";
import { assertNewest } from "./order.ts";
import { holeBehind } from "./reach.ts";
import { type Located, type LoggedBackup, locate, loggedBackup } from "./start.ts";
import { reachedWhileIdle, stillnessOf } from "./stood-still.ts";
import { endOfLog } from "./windows.ts";

/** What of the log is laid over a backup. */
export interface LogPart {
  readonly manifest: Manifest;
  /** In order; empty where the backup itself is the target. */
  readonly objects: readonly LogObject[];
  /** So many frames of the last object; undefined: all. */
  readonly frames: number | undefined;
  readonly pageCount: number;
  /** Of the last commit that is applied, in ms. */
  readonly instant: number;
}

/** Whether a commit of this instant is still before the target. */
type Reaches = (instant: number) => boolean;

/**
 * What leads to the newest state that the repository holds; undefined where it holds no backup.
 * @throws LifeboatError `LOG_HOLE` when the log goes on behind a segment that is missing, `CLOCK_SET_BACK` when
 *   what is newest cannot be told by time
 */
export async function newestOfLog(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  lineages: Lineages,
): Promise<LogPart | undefined> {
  const byEnd = backups
    .map((manifest) => ({ manifest, end: endOfLog(manifest, lineages) }))
    .sort(
      (a, b) =>
        b.end - a.end || Date.parse(b.manifest.consistentAt) - Date.parse(a.manifest.consistentAt),
    );
  const [newest] = byEnd;
  if (!newest) return undefined;
  assertNewest(newest, byEnd);
  const reached = newest.end;
  // To restore less than there is, without a word, would be a loss that nobody sees.
  const hole = holeBehind(folder, lineages, reached);
  if (hole) throw hole;
  for (const { manifest } of byEnd.filter(({ end }) => end === reached)) {
    const part = await partFrom(folder, manifest, { lineages, reaches: () => true });
    if (part) return part;
  }
  throw placeUnknown(folder, newest.manifest);
}

/**
 * What leads to an instant, from the newest backup before it from which there is a way; undefined where
 * there is none.
 */
export async function partFor(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  {
    lineages,
    target,
    known,
  }: {
    readonly lineages: Lineages;
    readonly target: InstantTarget;
    /** With those that can't be restored themselves: they tell when nothing was committed. */
    readonly known: readonly Manifest[];
  },
): Promise<LogPart | undefined> {
  const at = target.at.getTime();
  const reaches = (instant: number) =>
    target.exclusive && !target.micros ? instant < at : instant <= at;
  const before = backups
    .filter(({ consistentAt }) => reaches(Date.parse(consistentAt)))
    .sort((a, b) => Date.parse(b.consistentAt) - Date.parse(a.consistentAt));
  const stillness = await stillnessOf(folder, known, lineages);
  for (const manifest of before) {
    if (Date.parse(manifest.consistentAt) === at) return partOfBackup(manifest);
    const end = endOfLog(manifest, lineages);
    if (reachedWhileIdle(manifest, end, { lineages, stillness }) < at) continue;
    const part = await partFrom(folder, manifest, { lineages, reaches });
    if (part) return part;
  }
  return undefined;
}

export type InstantTarget = Extract<RecoveryTarget, { kind: "time" }>;

async function partFrom(
  folder: DatabaseFolder,
  manifest: Manifest,
  { lineages, reaches }: { readonly lineages: Lineages; readonly reaches: Reaches },
): Promise<LogPart | undefined> {
  const alone = partOfBackup(manifest);
  const logged = loggedBackup(manifest, lineages);
  if (!logged) return alone;
  const located = await locate(folder, logged);
  // Where its place is not known, what follows it cannot be told from what it holds already.
  if (!located) return goesOn(logged) ? undefined : alone;
  return withLog(folder, { logged, located, alone, reaches });
}

function goesOn({ objects, from }: LoggedBackup): boolean {
  return objects.some(({ last }) => last >= from);
}

export function partOfBackup(manifest: Manifest): LogPart {
  const { pageCount } = detailsOf(manifest);
  const instant = Date.parse(manifest.consistentAt);
  return { manifest, objects: [], frames: undefined, pageCount, instant };
}

async function withLog(
  folder: DatabaseFolder,
  what: {
    readonly logged: LoggedBackup;
    readonly located: Located;
    readonly alone: LogPart;
    readonly reaches: Reaches;
  },
): Promise<LogPart> {
  const { logged, located, alone, reaches } = what;
  const { object, note, frames } = located;
  const from = frames === lastMark(note)[1] ? object.last + 1 : object.first;
  const { whole, cut: following } = coverOf(logged.objects, from, reaches);
  const last = whole.at(-1);
  // Where the last one ends at the target itself, the next is not asked: it may be damaged.
  const cut = last && !reaches(last.instant + 1) ? undefined : following;
  const mark = cut && markBefore(await noteOf(folder, cut), reaches);
  // Up to there the log holds nothing that the backup does not: an older state must not be laid over it.
  if (whole.length === 0 && cut && (!mark || (cut.first <= object.first && mark[1] <= frames)))
    return alone;
  const { manifest } = alone;
  if (cut && mark) {
    const [instant, upTo, pageCount] = mark;
    return { manifest, objects: [...whole, cut], frames: upTo, pageCount, instant };
  }
  if (!last) return alone;
  const [instant, , pageCount] = lastMark(await noteOf(folder, last));
  return { manifest, objects: whole, frames: undefined, pageCount, instant };
}

function lastMark({ marks }: SegmentNote): Mark {
  return marks.at(-1) ?? marks[0];
}

function markBefore({ marks }: SegmentNote, reaches: Reaches): Mark | undefined {
  return marks.findLast(([instant]) => reaches(instant));
}

function placeUnknown(folder: DatabaseFolder, { id, consistentAt }: Manifest): LifeboatError {
  return new LifeboatError({
    code: "LOG_HOLE",
    message: `the place of backup ${id} lies in none of the objects of ${folder.path}/wal that should follow it`,
    remedy: `restore the backup alone (--backup ${id}, the state of ${consistentAt}); lifeboat verify finds what is damaged`,
    details: { backup: id },
  });
}

/** What of the log leads from a backup to the commit of an instant, as a plan named it. */
export async function partUpTo(
  folder: DatabaseFolder,
  manifest: Manifest,
  instant: number,
): Promise<LogPart> {
  const reaches = (each: number) => each <= instant;
  if (Date.parse(manifest.consistentAt) === instant) return partOfBackup(manifest);
  const part = await partFrom(folder, manifest, { lineages: await lineagesOf(folder), reaches });
  if (part?.instant === instant) return part;
  throw new LifeboatError({
    code: "LOG_CHANGED",
    message: `${folder.path}/wal changed since the restore was planned: the commit of ${new Date(instant).toISOString()} is no longer in it`,
    remedy: "run it again; lifeboat list shows what can be restored",
    details: { object: `${folder.path}/wal` },
  });
}
