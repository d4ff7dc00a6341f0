import {
  type DatabaseFolder,
  LifeboatError,
  type Manifest,
  type RecoveryPlan,
} from "@lifeboat/core";
import { detailsOf } from "../details.ts";
import { assertFollows } from "../log/chain.ts";
import { commitsOf } from "../log/expected-commits.ts";
import { bytesOfWal, type SegmentNote, wrongLogObject } from "../log/note.ts";
import { noteOf } from "../log/objects.ts";
import type { LogPart } from "../log/plan.ts";
import {
  assertBaseSize,
  checkedBase,
  commitOfChanges,
  onlyObject,
} from "../snapshot/backup-content.ts";
import type { Composition, Layer } from "./compose.ts";

/** What a database is put together from, and how large it and they are. */
export interface Parts extends Pick<Composition, "base" | "layers" | "pageCount"> {
  /** Of the objects' content. */
  readonly totalBytes: number;
  /** Of the file while it is built. */
  readonly fileBytes: number;
}

/**
 * The parts of a plan: a whole file, the changed pages of each incremental backup upon it, and what of
 * the log follows. The log's objects are proved to be what they are named, and to follow one another.
 * @throws LifeboatError `LOG_OBJECT_INVALID`, `MANIFEST_CORRUPT`, naming the object
 */
export async function partsOf(
  folder: DatabaseFolder,
  { backups }: RecoveryPlan,
  log: LogPart,
): Promise<Parts> {
  const [full, ...incremental] = backups;
  const base = onlyObject(full, "database");
  const { pageSize } = detailsOf(full);
  assertBaseSize(full, base);
  const changes = incremental.map((manifest) => changesOf(folder, manifest, pageSize));
  const logged = await logLayers(folder, log, pageSize);
  const layers = [...changes, ...logged];
  const { pageCount } = log;
  return {
    base: () => checkedBase(folder.readObject(full, base), full),
    layers: layers.map(({ layer }) => layer).reverse(),
    pageCount,
    totalBytes: layers.reduce((sum, { bytes }) => sum + bytes, base.content.bytes),
    fileBytes: Math.max(base.content.bytes, pageCount * pageSize),
  };
}

interface SizedLayer {
  readonly layer: Layer;
  /** Of its content. */
  readonly bytes: number;
}

function changesOf(folder: DatabaseFolder, manifest: Manifest, pageSize: number): SizedLayer {
  if (detailsOf(manifest).pageSize !== pageSize) throw otherPageSize(manifest);
  const object = onlyObject(manifest, "pages");
  const content = () => folder.readObject(manifest, object);
  const commits = commitOfChanges(manifest, object);
  const layer = { object: folder.objectPath(manifest, object), content, commits, cut: false };
  return { layer, bytes: object.content.bytes };
}

async function logLayers(
  folder: DatabaseFolder,
  { objects, frames }: LogPart,
  pageSize: number,
): Promise<SizedLayer[]> {
  const layers: SizedLayer[] = [];
  let before: SegmentNote | undefined;
  for await (const { object, note } of notesOfAll(folder, objects)) {
    const path = folder.logPath(object.name);
    assertFollows(note, before, path);
    before = note;
    const bytes = bytesOfWal(note);
    const content = () => folder.readLog(object.name, bytes);
    const cut = object === objects.at(-1) && frames !== undefined;
    const commits = commitsOf(note, cut ? frames : undefined);
    layers.push({ layer: { object: path, content, commits, cut }, bytes });
  }
  if (before && before.pageSize !== pageSize)
    throw wrongLogObject(
      folder.logPath(objects.at(-1)?.name ?? ""),
      `has pages of ${before.pageSize} bytes, its backup has them of ${pageSize}`,
    );
  return layers;
}

/** A distant storage is asked for several at once. */
const NOTES_AT_ONCE = 16;

async function* notesOfAll(folder: DatabaseFolder, objects: LogPart["objects"]) {
  for (let at = 0; at < objects.length; at += NOTES_AT_ONCE) {
    const some = objects.slice(at, at + NOTES_AT_ONCE);
    yield* await Promise.all(
      some.map(async (object) => ({ object, note: await noteOf(folder, object) })),
    );
  }
}

function otherPageSize(manifest: Manifest): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `backup ${manifest.id} has pages of another size than the one on which it builds`,
    remedy: "restore another backup (lifeboat list)",
    details: { backup: manifest.id },
  });
}
