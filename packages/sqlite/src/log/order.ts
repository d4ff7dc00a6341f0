import { backupChain, LifeboatError, type Manifest } from "@lifeboat/core";
import { detailsOf } from "../details.ts";

/** A backup and the last instant that can be restored from it, in ms. */
export interface Ended {
  readonly manifest: Manifest;
  readonly end: number;
}

/**
 * Proves that the backup with the latest instants is the newest as far as backups tell: none that builds on it, or
 * on another one of its lineage, belongs to what came later and ends before it. A clock that was set back makes such
 * ones, and to restore the older state without a word would be a loss that nobody sees.
 * @throws LifeboatError `CLOCK_SET_BACK`
 */
export function assertNewest(newest: Ended, all: readonly Ended[]): void {
  const manifests = all.map(({ manifest }) => manifest);
  const later = all.find((each) => each.end < newest.end && cameLater(each, newest, manifests));
  if (!later) return;
  const [until, after] = [newest, later].map(({ end }) => new Date(end).toISOString());
  throw new LifeboatError({
    code: "CLOCK_SET_BACK",
    message: `what is newest cannot be told by time: backup ${later.manifest.id} came after ${newest.manifest.id}, and its state, of ${after}, bears an earlier instant than the other's, of ${until}: a clock was set back in between`,
    remedy: `name the state that you want: --at ${after} for the one that came later, --at ${until} for the other (lifeboat list)`,
    details: { newest: newest.manifest.id, later: later.manifest.id },
  });
}

/**
 * The lineage that began last, as far as backups tell; undefined where none lies in a log. That is the newest one's by its id, unless the clock was
 * set back: then a later backup bears an earlier id than one that it builds on, or than a lineage that was there when it was taken.
 * @param backups by id, ascending, each with all that it builds on
 */
export function newestLineage(backups: readonly Manifest[]): string | undefined {
  const latest = backups.map(lineageOf).findLast((each) => each !== undefined);
  if (latest === undefined) return undefined;
  const known = new Map(backups.map((each) => [each.id, each]));
  const cameAfter = (each: Manifest): boolean => {
    const previous = detailsOf(each).log?.previous?.lineage;
    if (previous === latest && previous > each.id) return true;
    for (let before = parentOf(each); before; before = parentOf(before))
      if (before.id > each.id && lineageOf(before) === latest) return true;
    return false;
  };
  const parentOf = ({ parent }: Manifest) => (parent === null ? undefined : known.get(parent));
  const isOther = (each: Manifest) => ![undefined, latest].includes(lineageOf(each));
  const later = backups.findLast((each) => isOther(each) && cameAfter(each));
  return later ? lineageOf(later) : latest;
}

function cameLater(
  { manifest }: Ended,
  { manifest: newest, end }: Ended,
  manifests: readonly Manifest[],
): boolean {
  const own = lineageOf(newest);
  const isLogged = own !== undefined && end > Date.parse(newest.consistentAt);
  const other = lineageOf(manifest);
  // One outside of the log may lie before the end of a log that goes on behind what both build on.
  if (isLogged && (other === undefined || other === own)) return false;
  const [...parents] = chainOf(manifest, manifests).slice(0, -1);
  return parents.some((each) => each === newest || (isLogged && lineageOf(each) === own));
}

/** The lineage in which a backup lies; undefined where it lies in none. */
export function lineageOf(manifest: Manifest): string | undefined {
  return detailsOf(manifest).log?.lineage;
}

/** A chain that is broken tells nothing. */
function chainOf(manifest: Manifest, manifests: readonly Manifest[]): readonly Manifest[] {
  try {
    return backupChain(manifest, manifests);
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    return [];
  }
}
