import { lockName } from "./backup.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Problem } from "./engine.ts";
import type { Finding } from "./finding.ts";
import { idOwning, isLaterThan } from "./ids.ts";
import { foldersBelow, holdsObjects } from "./listing.ts";
import type { Repository } from "./repository.ts";
import { backupsOf } from "./unfinished-backup.ts";
import { type MarkedKind, unfinishedIds } from "./unfinished-mark.ts";

/** What has a folder of its own and is there once its manifest is: the backups or the exports of a database. */
export interface ManifestKind extends MarkedKind {
  readonly name: "backup" | "export";
  /** The names of all folders there. */
  readonly ids: readonly string[];
  /** Those whose manifest was read, and what was wrong with the others'. */
  readonly manifests: readonly { readonly id: string }[];
  readonly problems: readonly Problem[];
  /** Held while one is made. */
  readonly lock: string;
}

/** Names those that have objects and no manifest, and are not just being made: never finished (`UNFINISHED`), or finished once (`MANIFEST_MISSING`). */
export async function manifestsMissing(
  repository: Repository,
  folder: DatabaseFolder,
  { name, ids, manifests, problems, kind, pathOf, lock }: ManifestKind,
): Promise<Problem[]> {
  const known = new Set([
    ...manifests.map(({ id }) => id),
    ...problems.map(({ object }) => idOwning(object)),
  ]);
  const without = ids.filter((id) => kind.test(id) && !known.has(id));
  if (without.length === 0 || (await repository.isLocked(lock))) return [];
  const unfinished = await unfinishedIds(folder, { kind, pathOf });
  const goesOn = name === "backup" && folder.engine === "postgres" ? ", or goes on with it" : "";
  const missing: Problem[] = [];
  for (const id of without) {
    const object = `${pathOf(id)}/manifest.json`;
    if (!(await holdsObjects(repository.storage, `${pathOf(id)}/`))) continue;
    // One that was being made when the manifests were read may have ended since, and let go of its lock.
    if (await repository.storage.stat(object)) continue;
    missing.push(
      unfinished.includes(id)
        ? {
            object,
            code: "UNFINISHED",
            message: `${pathOf(id)} was never finished, and is no ${name}: the next ${name} removes it${goesOn}`,
          }
        : {
            object,
            code: "MANIFEST_MISSING",
            message: `${pathOf(id)} has objects but no manifest: that was removed since, or not copied`,
          },
    );
  }
  return missing;
}

/** The same of a database's backups. */
export async function backupsWithoutManifest(
  repository: Repository,
  folder: DatabaseFolder,
  read: Pick<ManifestKind, "manifests" | "problems">,
): Promise<Problem[]> {
  return manifestsMissing(repository, folder, {
    ...read,
    ...backupsOf(folder),
    name: "backup",
    ids: await foldersBelow(repository.storage, `${folder.path}/backups/`),
    lock: lockName(folder),
  });
}

/** A database's backups that were finished once, and cannot be restored until their manifest is brought back. */
export async function backupsThatLostTheirs(
  ...about: Parameters<typeof backupsWithoutManifest>
): Promise<Problem[]> {
  const without = await backupsWithoutManifest(...about);
  return without.filter(({ code }) => code === "MANIFEST_MISSING");
}

/** What a restore says of them. */
export const BRING_BACK =
  "bring its manifest.json back from a copy of the repository and restore again";

/** Told to whoever restores the newest state: a backup that came later than that. */
export async function laterWithoutManifest(
  repository: Repository,
  folder: DatabaseFolder,
  recoversTo: string | null,
): Promise<Finding[]> {
  if (recoversTo === null) return [];
  const instant = new Date(recoversTo);
  const missing = await backupsThatLostTheirs(repository, folder, await repository.backups(folder));
  return missing
    .filter(({ object }) => isLaterThan(idOwning(object), instant))
    .map(({ message }) => ({
      id: "manifest-missing",
      severity: "warning",
      summary: `the copy is of ${recoversTo}, and a later backup cannot be restored: ${message}`,
      remedy: BRING_BACK,
    }));
}
