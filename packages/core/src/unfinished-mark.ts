import { createDocument } from "./create-document.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import { LifeboatError } from "./errors.ts";
import { allObjects, holdsObjects } from "./listing.ts";
import { sealedJson } from "./sealed-json.ts";

/** What has ids with objects and, at last, a manifest: the backups or the exports of a database. */
export interface MarkedKind {
  /** What its ids match. */
  readonly kind: RegExp;
  readonly pathOf: (id: string) => string;
}

/** What a run that never ended has left. */
export interface Unfinished {
  readonly id: string;
  /** Names in its folder, in ascending order. */
  readonly objects: readonly string[];
}

/**
 * Says of an id that what lies under it belongs to a run which has not written its manifest: written before the first object, removed after
 * the manifest. Only what bears such a mark is ever removed as a rest. Without it, what a run never finished and a finished
 * backup that has lost its manifest look the same.
 */
export async function markUnfinished(folder: DatabaseFolder, id: string): Promise<void> {
  const since = new Date().toISOString();
  try {
    await createDocument(folder.storage, markPath(folder, id), sealedJson({ id, since }));
  } catch (thrown) {
    // Whoever goes on with an interrupted backup finds its mark.
    if (!(thrown instanceof LifeboatError) || thrown.code !== "OBJECT_EXISTS") throw thrown;
  }
}

/**
 * By a run that has lost its lock: what it stored until it noticed came after whoever has the lock looked, saw nothing of it, and removed its mark.
 */
export async function markWhatIsLeft(
  folder: DatabaseFolder,
  { pathOf }: MarkedKind,
  id: string,
): Promise<void> {
  if (id === "" || (await hasManifest(folder, pathOf(id)))) return;
  if (await holdsObjects(folder.storage, `${pathOf(id)}/`)) await markUnfinished(folder, id);
}

/** Once the manifest is there, or nothing lies under the id any more. */
export async function removeMark(folder: DatabaseFolder, id: string): Promise<void> {
  await folder.storage.remove(markPath(folder, id));
}

/** The marked ids that have no manifest, in ascending order: a run that was killed as it ended leaves a mark too. */
export async function unfinishedIds(folder: DatabaseFolder, kind: MarkedKind): Promise<string[]> {
  const ids: string[] = [];
  for (const id of await markedIds(folder, kind))
    if (!(await hasManifest(folder, kind.pathOf(id)))) ids.push(id);
  return ids;
}

/**
 * Removes what unfinished runs left. Only for the holder of the lock, since a running one looks the same.
 * @param keeps names objects that stay, of one id: the newest of which something does
 */
export async function clearUnfinishedOf(
  folder: DatabaseFolder,
  kind: MarkedKind,
  keeps: (id: string, object: string) => Promise<boolean> = async () => false,
): Promise<Unfinished | undefined> {
  let newest: Unfinished | undefined;
  for (const id of (await markedIds(folder, kind)).reverse()) {
    const place = `${kind.pathOf(id)}/`;
    const objects: string[] = [];
    let lay = 0;
    if (!(await hasManifest(folder, kind.pathOf(id))))
      for await (const { path } of allObjects(folder.storage, place)) {
        const object = path.slice(place.length);
        lay += 1;
        if (newest === undefined && (await keeps(id, object))) objects.push(object);
        else await folder.storage.remove(path);
      }
    if (objects.length > 0) newest = { id, objects };
    // A run that lost its lock may store more of it still: the mark goes when there was nothing any more.
    if (lay === 0) await removeMark(folder, id);
  }
  return newest;
}

async function markedIds(folder: DatabaseFolder, { kind }: MarkedKind): Promise<string[]> {
  const place = marksPath(folder);
  const ids: string[] = [];
  for await (const { path } of allObjects(folder.storage, place)) {
    const [, id] = /^(.+)\.json$/.exec(path.slice(place.length)) ?? [];
    if (id !== undefined && kind.test(id)) ids.push(id);
  }
  return ids;
}

async function hasManifest({ storage }: DatabaseFolder, path: string): Promise<boolean> {
  return (await storage.stat(`${path}/manifest.json`)) !== undefined;
}

function marksPath({ path }: DatabaseFolder): string {
  return `${path}/unfinished/`;
}

function markPath(folder: DatabaseFolder, id: string): string {
  return `${marksPath(folder)}${id}.json`;
}
