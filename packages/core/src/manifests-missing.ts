import { lockName } from "./backup.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Problem } from "./engine.ts";
import type { Finding } from "./finding.ts";
import { idOwning, isLaterThan } from "./ids.ts";
import { foldersBelow, holdsObjects } from "./listing.ts";
import { BACKUP_ID } from "./manifest.ts";
import type { Repository } from "./repository.ts";

/** What has a folder of its own and is there once its manifest is: the backups or the exports of a database. */
export interface ManifestKind {
  readonly name: "backup" | "export";
  /** Those that have a folder. */
  readonly ids: readonly string[];
  /** Those whose manifest was read, and what was wrong with the others'. */
  readonly manifests: readonly { readonly id: string }[];
  readonly problems: readonly Problem[];
  readonly pathOf: (id: string) => string;
  /** Held while one is made. */
  readonly lock: string;
}

/** Names those that have objects and no manifest, and are not just being made. */
export async function manifestsMissing(
  repository: Repository,
  { name, ids, manifests, problems, pathOf, lock }: ManifestKind,
): Promise<Problem[]> {
  const known = new Set([
    ...manifests.map(({ id }) => id),
    ...problems.map(({ object }) => idOwning(object)),
  ]);
  const without = ids.filter((id) => !known.has(id));
  if (without.length === 0 || (await repository.isLocked(lock))) return [];
  const missing: Problem[] = [];
  for (const id of without) {
    const object = `${pathOf(id)}/manifest.json`;
    if (!(await holdsObjects(repository.storage, `${pathOf(id)}/`))) continue;
    // One that was being made when the manifests were read may have ended since, and let go of its lock.
    if (await repository.storage.stat(object)) continue;
    missing.push({
      object,
      code: "MANIFEST_MISSING",
      message: `${pathOf(id)} has objects but no manifest: it was never finished (then the next ${name} removes it), or its manifest was removed`,
    });
  }
  return missing;
}

/** The same of a database's backups. */
export async function backupsWithoutManifest(
  repository: Repository,
  folder: DatabaseFolder,
  read: Pick<ManifestKind, "manifests" | "problems">,
): Promise<Problem[]> {
  const all = await foldersBelow(repository.storage, `${folder.path}/backups/`);
  return manifestsMissing(repository, {
    ...read,
    name: "backup",
    ids: all.filter((name) => BACKUP_ID.test(name)),
    pathOf: (id) => folder.backupPath(id),
    lock: lockName(folder),
  });
}

/** Told to whoever restores the newest state: a backup that came later than that, and may have been whole once. */
export async function laterWithoutManifest(
  repository: Repository,
  folder: DatabaseFolder,
  recoversTo: string | null,
): Promise<Finding[]> {
  if (recoversTo === null) return [];
  const instant = new Date(recoversTo);
  const missing = await backupsWithoutManifest(
    repository,
    folder,
    await repository.backups(folder),
  );
  return missing
    .filter(({ object }) => isLaterThan(idOwning(object), instant))
    .map(({ message }) => ({
      id: "manifest-missing",
      severity: "warning",
      summary: `the copy is of ${recoversTo}, and a later backup cannot be restored: ${message}`,
      remedy:
        "if it was finished once, bring its manifest.json back from a copy of the repository and restore again",
    }));
}
