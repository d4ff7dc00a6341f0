import { backupChain } from "./backup-chain.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Problem } from "./engine.ts";
import type { Finding } from "./finding.ts";
import { allObjects } from "./listing.ts";
import type { Manifest } from "./manifest.ts";

/**
 * What of these backups is not there, or has other bytes than its manifest says. A listing of each tells so much; whether it is what was
 * stored only a look at every byte (`verify.ts`).
 */
export async function objectsAmiss(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const manifest of backups) {
    const found = new Map<string, number>();
    for await (const { path, bytes } of allObjects(
      folder.storage,
      `${folder.backupPath(manifest.id)}/`,
    ))
      found.set(path, bytes);
    for (const each of manifest.objects) {
      const object = folder.objectPath(manifest, each);
      const bytes = found.get(object);
      if (bytes === undefined)
        problems.push({ object, code: "OBJECT_MISSING", message: `${object} is missing` });
      else if (bytes !== each.stored.bytes)
        problems.push({
          object,
          code: "CHECKSUM_MISMATCH",
          message: `${object} has ${bytes} bytes instead of ${each.stored.bytes}`,
        });
    }
  }
  return problems;
}

/**
 * Told by `status` of the newest backup of a database, with all that it builds on.
 * @param whole those that lack no manifest, oldest first
 */
export async function newestAmiss(
  folder: DatabaseFolder,
  whole: readonly Manifest[],
): Promise<Finding[]> {
  const newest = whole.at(-1);
  if (!newest) return [];
  const [problem, ...more] = await objectsAmiss(folder, backupChain(newest, whole));
  if (!problem) return [];
  const others =
    more.length > 0 ? `, and ${more.length} more of its objects are not as they were stored` : "";
  return [
    {
      id: "backup-damaged",
      severity: "error",
      summary: `the newest backup of ${folder.database}, ${newest.id}, is not whole: ${problem.message}${others}`,
      remedy:
        "bring that back from a copy of the repository, or take a new one: lifeboat backup --type full",
    },
  ];
}
