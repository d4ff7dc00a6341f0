import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { LifeboatError, type Manifest } from "@lifeboat/core";
import { postgresDetails } from "../details.ts";
import type { RestorePlaces } from "../places/restore-places.ts";
import { consistencyBytes } from "../wal/consistency-wal.ts";
import { LINKS_SINCE } from "./combine.ts";

/** What goes to one place. */
export interface RoomWanted {
  readonly place: string;
  readonly bytes: number;
}

/**
 * What a restore writes at least, by place: all that the backups unpack to, and the WAL that makes the
 * copy consistent. Incremental backups are unpacked beside each other; a pg_combinebackup that cannot
 * link copies what the full one holds once more.
 * @param backups the full one first
 */
export function roomWanted(
  backups: readonly [Manifest, ...Manifest[]],
  places: Pick<RestorePlaces, "dataDirectory" | "tablespaces">,
): RoomWanted[] {
  const wanted = new Map<string, number>([[places.dataDirectory, 0]]);
  const add = (place: string, bytes: number) => wanted.set(place, (wanted.get(place) ?? 0) + bytes);
  for (const manifest of backups)
    for (const { place, bytes } of unpackedRoom(manifest, places)) add(place, bytes);
  for (const { place, bytes } of combinedRoom(backups, places)) add(place, bytes);
  add(places.dataDirectory, consistencyBytes(postgresDetails(backups.at(-1) as Manifest)));
  return [...wanted].map(([place, bytes]) => ({ place, bytes }));
}

/** What pg_combinebackup writes at least once the backups are unpacked. */
export function combinedRoom(
  backups: readonly [Manifest, ...Manifest[]],
  places: Pick<RestorePlaces, "dataDirectory" | "tablespaces">,
): RoomWanted[] {
  const [full] = backups;
  const major = Math.trunc(postgresDetails(full).serverVersion / 10_000);
  return backups.length === 1 || major >= LINKS_SINCE ? [] : unpackedRoom(full, places);
}

/** What one backup unpacks to: its objects in the place of their tablespace, all others in the data directory. */
function unpackedRoom(
  manifest: Manifest,
  { dataDirectory, tablespaces }: Pick<RestorePlaces, "dataDirectory" | "tablespaces">,
): RoomWanted[] {
  const placeOf = new Map<string, string>();
  for (const { oid, object, parts = [] } of postgresDetails(manifest).tablespaces)
    for (const name of [object, ...parts])
      placeOf.set(name, tablespaces.find((each) => each.tablespace.oid === oid)?.place ?? "");
  return manifest.objects
    .filter(({ object, role }) => object.endsWith(".tar.zst") || role === "settings")
    .map(({ object, content }) => ({
      place: placeOf.get(object) || dataDirectory,
      bytes: content.bytes,
    }));
}

/**
 * Proves that the file systems have room for it, several places on one reckoned together.
 * @throws LifeboatError `TARGET_FULL` (kind `refused`) naming the place; nothing has been written
 */
export async function assertRoom(wanted: readonly RoomWanted[]): Promise<void> {
  const systems = new Map<number, { place: string; bytes: number }>();
  for (const { place, bytes } of wanted) {
    const { dev } = await stat(await standing(place));
    const known = systems.get(dev);
    systems.set(dev, { place: known?.place ?? place, bytes: (known?.bytes ?? 0) + bytes });
  }
  for (const { place, bytes } of systems.values()) {
    const { bavail, bsize, blocks } = await statfs(await standing(place));
    // Some file systems do not tell.
    if (blocks > 0 && bavail * bsize < bytes) throw noRoom(place, bytes, bavail * bsize);
  }
}

/** The nearest folder of a path that is there already. */
async function standing(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at))
    if (at === dirname(at) || (await stat(at).catch(() => undefined))?.isDirectory()) return at;
}

function noRoom(path: string, bytes: number, free: number): LifeboatError {
  const mebibytes = (count: number) => `${Math.ceil(count / 2 ** 20).toLocaleString("en")} MiB`;
  return new LifeboatError({
    code: "TARGET_FULL",
    kind: "refused",
    message: `the restore writes ${mebibytes(bytes)} to the file system of ${path}, where ${mebibytes(free)} are free`,
    remedy:
      "make room, name a directory on a larger disk, or map tablespaces to other disks (--tablespace-mapping): nothing was written",
    details: { path, bytes, free },
  });
}
