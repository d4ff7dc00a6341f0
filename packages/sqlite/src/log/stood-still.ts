import { type DatabaseFolder, LifeboatError, type Manifest } from "@lifeboat/core";
import { detailsOf } from "../details.ts";
import { isSamePlace, type LogPlace } from "../wal/place.ts";
import { coverOf } from "./cover.ts";
import { type Lineages, type LogObject, noteOf } from "./objects.ts";
import { lastOf, loggedBackup } from "./start.ts";

/** Where a lineage ends, and until when it is proved that nothing was committed behind that place. */
export interface StoodStill {
  readonly place: LogPlace;
  /** In ms. */
  readonly until: number;
}

/** By lineage. */
export type Stillness = ReadonlyMap<string, StoodStill>;

/**
 * Proves where it can that a database was idle behind the end of its log: a backup of the same lineage that was taken later at that
 * very place of the WAL tells that nothing was committed in between. Nothing is proved
 * - by a place without a frame: a WAL that was emptied, or begun anew and rolled back, looks like one that nothing was written to;
 * - where another backup lies in between by the clock: by a clock that was set back it may hold what came later;
 * - by a content that is the same: it may have been another one in the meantime.
 *
 * Reads one note of each lineage that such a backup lies behind, and none of others.
 */
export async function stillnessOf(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  lineages: Lineages,
): Promise<Stillness> {
  const found = new Map<string, StoodStill>();
  for (const lineage of new Set(backups.flatMap((each) => detailsOf(each).log?.lineage ?? []))) {
    const own = backups.filter((each) => detailsOf(each).log?.lineage === lineage);
    const end = await endOf(folder, own, lineages.get(lineage) ?? []);
    const until = end && provedUntil(end, own, backups);
    if (end && until !== undefined) found.set(lineage, { place: end.place, until });
  }
  return found;
}

/**
 * The last instant, in ms, that can be restored from a backup, whose log leads to `end`.
 * @param stillness of the same backups
 */
export function reachedWhileIdle(
  manifest: Manifest,
  end: number,
  { lineages, stillness }: { readonly lineages: Lineages; readonly stillness: Stillness },
): number {
  const logged = loggedBackup(manifest, lineages);
  const still = logged && stillness.get(detailsOf(manifest).log?.lineage ?? "");
  if (!still) return end;
  const frames = logged.objects.filter(({ kind }) => kind === "frames");
  const last = lastOf(frames);
  const leadsThere =
    logged.from > last
      ? isSamePlace(logged.place, still.place)
      : coverOf(frames, logged.from, () => true).next > last;
  return leadsThere ? Math.max(end, still.until) : end;
}

interface LogEnd {
  readonly place: LogPlace;
  readonly instant: number;
}

/** Undefined where no backup lies behind it, or what was stored does not tell its place. */
async function endOf(
  folder: DatabaseFolder,
  own: readonly Manifest[],
  objects: readonly LogObject[],
): Promise<LogEnd | undefined> {
  const last = lastOf(objects);
  const at = objects.filter((each) => each.last === last && each.kind === "frames").at(-1);
  if (last === 0) return beginning(own);
  if (!at || !own.some((each) => Date.parse(each.consistentAt) > at.instant)) return undefined;
  try {
    return { place: (await noteOf(folder, at)).end, instant: at.instant };
  } catch (thrown) {
    // What is damaged proves nothing; `verify` names it.
    const damaged = ["LOG_OBJECT_INVALID", "MANIFEST_CORRUPT"];
    if (thrown instanceof LifeboatError && damaged.includes(thrown.code)) return undefined;
    throw thrown;
  }
}

/** Of a lineage that nothing was shipped of yet. */
function beginning(own: readonly Manifest[]): LogEnd | undefined {
  const [first] = own.toSorted(byInstant);
  const place = first && detailsOf(first).log?.place;
  return place && { place, instant: Date.parse(first.consistentAt) };
}

function provedUntil(
  { place, instant }: LogEnd,
  own: readonly Manifest[],
  backups: readonly Manifest[],
): number | undefined {
  if (place.frames === 0) return undefined;
  const isThere = (each: Manifest) => isSamePlace(detailsOf(each).log?.place ?? NO_PLACE, place);
  const there = new Set(own.filter(isThere));
  const proof = [...there].toSorted(byInstant).at(-1);
  const until = Date.parse(proof?.consistentAt ?? "");
  if (!(until > instant)) return undefined;
  const between = ({ consistentAt }: Manifest) =>
    instant < Date.parse(consistentAt) && Date.parse(consistentAt) <= until;
  return backups.some((each) => between(each) && !there.has(each)) ? undefined : until;
}

const NO_PLACE: LogPlace = { salt1: 0, salt2: 0, frames: 0, checksum1: 0, checksum2: 0 };

function byInstant(a: Manifest, b: Manifest): number {
  return Date.parse(a.consistentAt) - Date.parse(b.consistentAt);
}
