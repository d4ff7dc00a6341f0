import { isAtRest, isThatFile } from "./file-at-rest.ts";
import type { ReadFrom } from "./holding.ts";
import { isOfRun, type LiveWal } from "./live-wal.ts";

/**
 * What proves that all that was committed since a place is still to be read: the place itself lies in the WAL; or the file is
 * as it was when all up to there was copied back, and then a WAL that is there now holds all of it, from its start on.
 */
export type GoingOn = "place" | "rest";

/** Looks which of them does, and lets the WAL be read from there; undefined when none. Before the gate: it has to be proved again behind it. */
export function goOn(wal: LiveWal, path: string, { place, rest }: ReadFrom): GoingOn | undefined {
  // SQLite lays a WAL over whatever file is there: beside another one than it was read with its places prove nothing.
  if (rest && !isThatFile(path, rest)) return undefined;
  const header = wal.header();
  if (header && wal.holds(header, place)) {
    const { frames, checksum1, checksum2 } = place;
    wal.begin(header, { frames, checksum: [checksum1, checksum2], pages: 0 });
    return "place";
  }
  // Of the very run that was being read the place is missing: that is no WAL to go on with.
  if (!rest || (header && isOfRun(header, place))) return undefined;
  if (!isAtRest(path, rest)) return undefined;
  // At each try from its start: what was found at one that the app's writers ended is gone with it.
  if (header) wal.begin(header);
  return "rest";
}
