import type { DatabaseFolder } from "./database-folder.ts";
import type { ExportManifest } from "./export-manifest.ts";
import { exportIds, exportLockName, exportsIn, exportsOf } from "./exports.ts";
import { manifestsMissing } from "./manifests-missing.ts";
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
  const missing = await manifestsMissing(repository, folder, {
    name: "export",
    ids: await exportIds(folder),
    manifests,
    problems,
    ...exportsIn(folder),
    lock: exportLockName(folder),
  });
  tally.problems.push(...missing);
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
