import type { DatabaseFolder } from "./database-folder.ts";
import type { ExportManifest } from "./export-manifest.ts";
import { exportIds, exportLockName, exportsOf } from "./exports.ts";
import { holdsObjects } from "./listing.ts";
import type { Report } from "./progress.ts";
import type { Repository } from "./repository.ts";
import { checkObject, type Tally } from "./verify-object.ts";

/** Reads the manifests of one cluster's exports, and names those that are missing or damaged. */
export async function checkExportManifests(
  repository: Repository,
  folder: DatabaseFolder,
  tally: Tally,
): Promise<readonly ExportManifest[]> {
  const { manifests, problems } = await exportsOf(folder);
  tally.objects += manifests.length + problems.length;
  tally.problems.push(...problems);
  const known = new Set([
    ...manifests.map(({ id }) => id),
    ...problems.map(({ object }) => object.split("/").at(-2)),
  ]);
  const without = (await exportIds(folder)).filter((id) => !known.has(id));
  // An export that is being written has no manifest yet, and nothing is wrong with that.
  if (without.length > 0 && !(await repository.isLocked(exportLockName(folder))))
    for (const id of without)
      if (await holdsObjects(repository.storage, `${folder.exportPath(id)}/`))
        tally.problems.push({
          object: `${folder.exportPath(id)}/manifest.json`,
          code: "MANIFEST_MISSING",
          message: `${folder.exportPath(id)} has objects but no manifest: it was never finished (then the next export removes it), or its manifest was removed`,
        });
  return manifests;
}

/** Reads every stored byte of these exports. */
export async function checkExports(
  folder: DatabaseFolder,
  manifests: readonly ExportManifest[],
  how: { deep: boolean; signal: AbortSignal; report: Report; tally: Tally },
): Promise<void> {
  const totalBytes = manifests.reduce((bytes, { storedBytes }) => bytes + storedBytes, 0);
  let bytes = 0;
  for (const { id, objects } of manifests)
    for (const object of objects) {
      const path = `${folder.exportPath(id)}/${object.object}`;
      await checkObject(folder, path, object, {
        ...how,
        passed: (chunk) => {
          bytes += chunk;
          how.report({ bytes, totalBytes, note: path });
        },
      });
    }
}
