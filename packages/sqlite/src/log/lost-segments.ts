import {
  type DatabaseFolder,
  type DrillRecord,
  isObjectDamage,
  type Manifest,
  type Problem,
  WatchNotes,
} from "@lifeboat/core";
import { detailsOf, type LogMember } from "../details.ts";
import { parseLogName } from "./name.ts";
import { type Lineages, lineagesOf } from "./objects.ts";
import { lastOf, loggedBackup } from "./start.ts";
import { endOfLog } from "./windows.ts";

/** Who knows that a segment was stored once. */
export interface SegmentWitness {
  readonly lineage: string;
  readonly number: number;
  /** When that was, as the end of a sentence. */
  readonly when: string;
}

/** What proves that segments were stored, besides themselves. */
export interface LogWitnesses {
  readonly drills: readonly DrillRecord[];
  readonly watch: SegmentWitness | undefined;
}

/**
 * What is missing within a lineage, and the ends of lineages that are gone, whole lineages too: what is left of such a log looks as if
 * no more had ever been shipped. Told by the backups that were taken later, by drills that restored more, and by the watch of this machine.
 * @param lineages listed after the backups and the witnesses were read: what was stored since is no loss
 */
export async function lostOfLog(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  lineages: Lineages,
  witnesses: LogWitnesses,
): Promise<readonly Problem[]> {
  const found = lostSegments(folder, backups, lineages, witnesses);
  // Looked for twice: segments may have been merged while they were listed.
  return found.length === 0
    ? found
    : lostSegments(folder, backups, await lineagesOf(folder), witnesses);
}

function lostSegments(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  lineages: Lineages,
  { drills, watch }: LogWitnesses,
): Problem[] {
  const known = backups.flatMap((manifest) => {
    const log = logOf(manifest);
    return log ? [{ manifest, log }] : [];
  });
  const said = [...known.flatMap(witnessOf), ...(watch ? [watch] : [])];
  const problems = [...lineages.keys()].flatMap((lineage) =>
    holesIn(folder, lineage, { backups, lineages }),
  );
  const holed = new Set(problems.map(({ object }) => object));
  for (const lineage of new Set(known.map(({ log }) => log.lineage))) {
    const own = known.filter(({ log }) => log.lineage === lineage);
    const last = lastOf((lineages.get(lineage) ?? []).filter(({ kind }) => kind === "frames"));
    const most = said
      .filter((witness) => witness.lineage === lineage)
      .toSorted((a, b) => b.number - a.number)[0];
    const object = `${folder.path}/wal/${lineage}`;
    const lost = (message: string) => problems.push({ object, code: "LOG_HOLE", message });
    if (most && most.number > last)
      lost(
        `${object} lacks the segments ${last + 1} to ${most.number}, which were there ${most.when}: no instant in them can be restored`,
      );
    else if (!holed.has(object)) {
      const shorter = own.flatMap(({ manifest }) =>
        drilledFurther(folder, manifest, lineages, drills),
      );
      if (shorter[0]) lost(`${object} ${shorter[0]}`);
    }
  }
  return problems.length > 0 ? problems : drilledAfterAll(folder, backups, lineages, drills);
}

/** Also the segments that led on from a backup which lies before all that are there. */
function holesIn(
  folder: DatabaseFolder,
  lineage: string,
  { backups, lineages }: { readonly backups: readonly Manifest[]; readonly lineages: Lineages },
): Problem[] {
  const problems: Problem[] = [];
  const frames = (lineages.get(lineage) ?? []).filter(({ kind }) => kind === "frames");
  const [first] = frames;
  const lacksStart = backups.some(
    (each) =>
      logOf(each)?.lineage === lineage &&
      first !== undefined &&
      Date.parse(each.consistentAt) < first.instant &&
      loggedBackup(each, lineages) === undefined,
  );
  let next = lacksStart ? 1 : (first?.first ?? 1);
  for (const object of frames) {
    if (object.first > next)
      problems.push({
        object: `${folder.path}/wal/${lineage}`,
        code: "LOG_HOLE",
        message: `${folder.path}/wal/${lineage} lacks the segments ${next} to ${object.first - 1}: no restore can cross this`,
      });
    next = Math.max(next, object.last + 1);
  }
  return problems;
}

/** The watch's own word of the newest segment that it stored; undefined where none of this account and machine left one. */
export async function wordOfWatch(
  folder: DatabaseFolder,
  directory: string | undefined,
): Promise<SegmentWitness | undefined> {
  const note = directory === undefined ? null : await new WatchNotes(directory).read(folder);
  const { lastSegment } = (note?.facts ?? {}) as { lastSegment?: unknown };
  const name = typeof lastSegment === "string" ? parseLogName(lastSegment) : undefined;
  return (
    name && { lineage: name.lineage, number: name.last, when: "by the word of the watch here" }
  );
}

function witnessOf(of: { readonly manifest: Manifest; readonly log: LogMember }): SegmentWitness[] {
  const { lineage, segments, previous } = of.log;
  const when = `when backup ${of.manifest.id} was taken`;
  const own = segments === undefined ? [] : [{ lineage, number: segments, when }];
  return previous ? [...own, { lineage: previous.lineage, number: previous.segments, when }] : own;
}

function drilledFurther(
  folder: DatabaseFolder,
  manifest: Manifest,
  lineages: Lineages,
  drills: readonly DrillRecord[],
): string[] {
  const end = endOfLog(manifest, lineages);
  return drilled(folder, drills)
    .filter(({ backup, to }) => backup === manifest.id && to > end)
    .map(
      ({ id }) =>
        `leads from backup ${manifest.id} to ${new Date(end).toISOString()} only, and the drill ${id} restored more: what follows is gone`,
    );
}

/** A backup may be gone with its manifest, which then tells nothing of its log. */
function drilledAfterAll(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  lineages: Lineages,
  drills: readonly DrillRecord[],
): Problem[] {
  const object = folder.path;
  const end = backups.reduce(
    (most, each) =>
      Math.max(most, logOf(each) ? endOfLog(each, lineages) : Date.parse(each.consistentAt)),
    0,
  );
  const further = drilled(folder, drills).filter(({ to }) => to > end);
  const newest = further.toSorted((a, b) => b.to - a.to)[0];
  if (!newest) return [];
  const [reached, was] = [end, newest.to].map((instant) => new Date(instant).toISOString());
  const left =
    backups.length === 0 ? "no backup is left" : `all that is left leads to ${reached} only`;
  const message = `of ${object} ${left}, and the drill ${newest.id} restored the state of ${was}: what led there is gone`;
  return [{ object, code: "LOG_HOLE", message }];
}

/** What drills brought back of a database; instants in ms. */
function drilled({ database }: DatabaseFolder, drills: readonly DrillRecord[]) {
  return drills.flatMap((drill) =>
    [drill, ...(drill.databases ?? [])]
      .filter((each) => each.database === database)
      .map(({ backup, recoveredTo }) => ({
        ...{ id: drill.id, backup },
        to: Date.parse(recoveredTo ?? ""),
      })),
  );
}

/** What is wrong with the details of a backup is told by itself, and keeps nothing else from being told. */
export function logOf(manifest: Manifest): LogMember | undefined {
  try {
    return detailsOf(manifest).log ?? undefined;
  } catch (thrown) {
    if (isObjectDamage(thrown, "MANIFEST_CORRUPT")) return undefined;
    throw thrown;
  }
}
