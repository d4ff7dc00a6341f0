import { sealedDigests } from "./checked-read.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import { allObjects } from "./listing.ts";
import { type LogNote, readLogNote } from "./log-note.ts";
import { BACKUP_ID, type Manifest, type ManifestObject } from "./manifest.ts";
import { isObjectDamage } from "./object-damage.ts";
import {
  clearUnfinishedOf,
  type MarkedKind,
  type Unfinished,
  unfinishedIds,
} from "./unfinished-mark.ts";

/** An object that an interrupted backup stored, offered to the one that goes on with it. */
export interface Leftover {
  /** Its name in the backup's folder, with `.zst`. */
  readonly object: string;
  /** What was stored with it as its note; undefined where there is none, or it is damaged. */
  note(): Promise<LogNote | undefined>;
  /**
   * Makes it a part of this backup after reading all of it: undefined where it is not, byte for byte, what was
   * stored. Only objects with a note can be told so.
   */
  keep(role: string): Promise<ManifestObject | undefined>;
  remove(): Promise<void>;
}

/**
 * Removes what interrupted backups left. Only for the holder of the database's lock, since a running backup looks the same.
 * @param keeps names objects that stay, of the newest full backup that has some
 * @returns what stayed, which the next can go on with
 */
export function clearUnfinished(
  folder: DatabaseFolder,
  keeps: (object: string) => Promise<boolean> = async () => false,
): Promise<Unfinished | undefined> {
  return clearUnfinishedOf(
    folder,
    backupsOf(folder),
    async (id, object) => id.endsWith("-full") && (await keeps(object)),
  );
}

/** The newest backup that was never finished and of which something lies there, and the stored bytes of all such; undefined where there is none. */
export async function findUnfinished(
  folder: DatabaseFolder,
): Promise<{ readonly id: string; readonly bytes: number } | undefined> {
  let newest: string | undefined;
  let bytes = 0;
  for (const id of await unfinishedIds(folder, backupsOf(folder)))
    for await (const stored of allObjects(folder.storage, `${folder.backupPath(id)}/`)) {
      bytes += stored.bytes;
      newest = id;
    }
  return newest === undefined ? undefined : { id: newest, bytes };
}

/** The backups of a database, as those that may be unfinished. */
export function backupsOf(folder: DatabaseFolder): MarkedKind {
  return { kind: BACKUP_ID, pathOf: (id) => folder.backupPath(id) };
}

/** The objects of an interrupted backup, for the one that goes on under its id. */
export function leftoversOf(
  folder: DatabaseFolder,
  { id, objects }: Unfinished,
  onKept: (object: ManifestObject) => void,
): Leftover[] {
  const { storage } = folder;
  return objects.map((object) => {
    const path = `${folder.backupPath(id)}/${object}`;
    return {
      object,
      note: () =>
        unlessDamaged(async () => {
          const { bytes } = (await storage.stat(path)) ?? { bytes: 0 };
          return readLogNote(storage, path, bytes);
        }),
      async keep(role) {
        const digests = await unlessDamaged(() => sealedDigests(storage.read(path), path));
        if (!digests) return undefined;
        const kept = { object, role, ...digests };
        onKept(kept);
        return kept;
      },
      remove: () => storage.remove(path),
    };
  });
}

/**
 * Removes what lies in a backup's folder and is not its own, before its manifest is written: who restores by
 * hand unpacks all that lies there.
 */
export async function removeStrangers(folder: DatabaseFolder, manifest: Manifest): Promise<void> {
  const place = `${folder.backupPath(manifest.id)}/`;
  const own = new Set(manifest.objects.map(({ object }) => `${place}${object}`));
  for await (const { path } of allObjects(folder.storage, place))
    if (!own.has(path)) await folder.storage.remove(path);
}

async function unlessDamaged<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (thrown) {
    if (isObjectDamage(thrown, "MANIFEST_CORRUPT")) return undefined;
    throw thrown;
  }
}
