import { sealedDigests } from "./checked-read.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import { allObjects, foldersBelow } from "./listing.ts";
import { type LogNote, readLogNote } from "./log-note.ts";
import { BACKUP_ID, type Manifest, type ManifestObject } from "./manifest.ts";
import { isObjectDamage } from "./object-damage.ts";

/** What an interrupted backup stored and the next can go on with. */
export interface UnfinishedBackup {
  readonly id: string;
  /** Names in its folder, in ascending order. */
  readonly objects: readonly string[];
}

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
 * Removes what interrupted backups left: objects of an id without a manifest. Only for the holder of the
 * database's lock, since a running backup looks the same.
 * @param options `keeps` names objects that stay, of the newest full backup that has some; `backups` gives what lies there with a
 *   manifest: what one of them builds on was finished, and has lost its manifest since, which may be brought back
 */
export async function clearUnfinished(
  folder: DatabaseFolder,
  options: {
    readonly keeps?: ((object: string) => Promise<boolean>) | undefined;
    readonly backups?: () => Promise<readonly Manifest[]>;
  } = {},
): Promise<UnfinishedBackup | undefined> {
  const { keeps = async () => false, backups = async () => [] } = options;
  const { storage } = folder;
  let newest: UnfinishedBackup | undefined;
  for (const id of (await unfinishedIds(folder, backups)).reverse()) {
    const place = `${folder.backupPath(id)}/`;
    const mayKeep = newest === undefined && id.endsWith("-full");
    const objects: string[] = [];
    for await (const { path } of allObjects(storage, place)) {
      const object = path.slice(place.length);
      if (mayKeep && (await keeps(object))) objects.push(object);
      else await storage.remove(path);
    }
    if (objects.length > 0) newest = { id, objects };
  }
  return newest;
}

/** The newest backup that has objects and no manifest, and the stored bytes of all such; undefined where there is none. */
export async function findUnfinished(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
): Promise<{ readonly id: string; readonly bytes: number } | undefined> {
  let newest: string | undefined;
  let bytes = 0;
  for (const id of await unfinishedIds(folder, async () => backups)) {
    for await (const stored of allObjects(folder.storage, `${folder.backupPath(id)}/`))
      bytes += stored.bytes;
    newest = id;
  }
  return newest === undefined ? undefined : { id: newest, bytes };
}

/** Those without a manifest. A folder of another name is nothing that a backup left, but somebody's own. */
async function unfinishedIds(
  folder: DatabaseFolder,
  backups: () => Promise<readonly Manifest[]>,
): Promise<string[]> {
  const { storage, path } = folder;
  const found: string[] = [];
  for (const id of await foldersBelow(storage, `${path}/backups/`))
    if (BACKUP_ID.test(id) && !(await storage.stat(`${folder.backupPath(id)}/manifest.json`)))
      found.push(id);
  if (found.length === 0) return found;
  const builtOn = new Set((await backups()).map(({ parent }) => parent));
  return found.filter((id) => !builtOn.has(id));
}

/** The objects of an interrupted backup, for the one that goes on under its id. */
export function leftoversOf(
  folder: DatabaseFolder,
  { id, objects }: UnfinishedBackup,
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
