import { createDocument } from "./create-document.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Problem } from "./engine.ts";
import { LifeboatError } from "./errors.ts";
import { assertExportShape, EXPORT_ID, type ExportManifest } from "./export-manifest.ts";
import { foldersBelow } from "./listing.ts";
import { readDocument } from "./read-document.ts";
import { documentProblem } from "./read-records.ts";
import type { Repository } from "./repository.ts";
import { openSealedJson, sealedJson } from "./sealed-json.ts";
import { clearUnfinishedOf, type MarkedKind } from "./unfinished-mark.ts";

/** The lock under which one cluster's exports are made. */
export function exportLockName(folder: DatabaseFolder): string {
  return `${folder.engine}-${folder.database}-export`;
}

/** The exports of one cluster, oldest first; manifests that cannot be read are problems. */
export async function exportsOf(
  folder: DatabaseFolder,
): Promise<{ manifests: ExportManifest[]; problems: Problem[] }> {
  const manifests: ExportManifest[] = [];
  const problems: Problem[] = [];
  for (const id of await foldersBelow(folder.storage, exportsPath(folder))) {
    const path = manifestPath(folder, id);
    try {
      const bytes = await readDocument(folder.storage, path);
      if (bytes) manifests.push(ownManifest(bytes, path, folder, id));
    } catch (thrown) {
      problems.push(documentProblem(thrown, path));
    }
  }
  return { manifests, problems };
}

/** The ids that have a folder, with a manifest or without. A folder of another name is no export's. */
export async function exportIds(folder: DatabaseFolder): Promise<string[]> {
  return (await foldersBelow(folder.storage, exportsPath(folder))).filter((name) =>
    EXPORT_ID.test(name),
  );
}

/** Makes the export exist: nothing of it is written after this. */
export async function writeExportManifest(
  folder: DatabaseFolder,
  manifest: ExportManifest,
): Promise<void> {
  const text = sealedJson(manifest as unknown as Record<string, unknown>);
  await createDocument(folder.storage, manifestPath(folder, manifest.id), text);
}

/**
 * Removes what interrupted exports left. Only for the holder of the lock, since a running one
 * looks the same.
 */
export async function removeUnfinishedExports(folder: DatabaseFolder): Promise<void> {
  await clearUnfinishedOf(folder, exportsIn(folder));
}

/** The exports of a cluster, as those that may be unfinished. */
export function exportsIn(folder: DatabaseFolder): MarkedKind {
  return { kind: EXPORT_ID, pathOf: (id) => folder.exportPath(id) };
}

/**
 * Finds an export by its id.
 * @throws LifeboatError `EXPORT_NOT_FOUND` (kind `not-found`); `MANIFEST_CORRUPT` when it cannot be read
 */
export async function findExport(
  repository: Repository,
  id: string,
): Promise<{ folder: DatabaseFolder; manifest: ExportManifest }> {
  const known: string[] = [];
  for (const folder of await repository.folders("postgres")) {
    const { manifests, problems } = await exportsOf(folder);
    const manifest = manifests.find((each) => each.id === id);
    if (manifest) return { folder, manifest };
    const damaged = problems.find(({ object }) => object === manifestPath(folder, id));
    if (damaged)
      throw new LifeboatError({
        code: damaged.code,
        message: damaged.message,
        remedy:
          "import another export (lifeboat list), and bring this object back from a copy of the repository",
        details: { object: damaged.object },
      });
    known.push(...manifests.map((each) => each.id));
  }
  throw new LifeboatError({
    code: "EXPORT_NOT_FOUND",
    kind: "not-found",
    message: `there is no export ${id} of ${repository.app} in ${repository.storage.description}`,
    remedy:
      known.length > 0
        ? `there are: ${known.toSorted().slice(-10).join(", ")}`
        : "there is none yet: lifeboat export takes one; a dump in a file is named by its path",
    details: { id, known },
  });
}

function exportsPath({ path }: DatabaseFolder): string {
  return `${path}/exports/`;
}

function manifestPath(folder: DatabaseFolder, id: string): string {
  return `${folder.exportPath(id)}/manifest.json`;
}

/** A manifest that lies under another name than its own was moved or swapped. */
function ownManifest(
  bytes: Uint8Array,
  path: string,
  folder: DatabaseFolder,
  id: string,
): ExportManifest {
  const manifest = assertExportShape(openSealedJson(bytes, path), path);
  if (manifest.id === id && manifest.app === folder.app && manifest.system === folder.database)
    return manifest;
  throw new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `${path} belongs to ${manifest.app}/postgres/${manifest.system}, export ${manifest.id}`,
    remedy: "it was moved or swapped: bring the right object back from a copy of the repository",
    details: { object: path },
  });
}
