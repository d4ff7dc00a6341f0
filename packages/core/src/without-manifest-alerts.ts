import { lockName } from "./backup.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { EngineKind } from "./engine-kind.ts";
import type { Finding } from "./finding.ts";
import { backupsThatLostTheirs } from "./manifests-missing.ts";
import type { Repository } from "./repository.ts";
import { findUnfinished } from "./unfinished-backup.ts";

/** Data lies there that can be restored once the manifests are back. */
export async function lostManifestAlerts(
  repository: Repository,
  folder: DatabaseFolder,
  read: Parameters<typeof backupsThatLostTheirs>[2],
): Promise<Finding[]> {
  const lost = await backupsThatLostTheirs(repository, folder, read);
  const newest = lost.at(-1);
  if (!newest) return [];
  const older = lost.length - 1;
  const others =
    older === 0 ? "" : `; and so ${older === 1 ? "has an older one" : `have ${older} older ones`}`;
  return [
    {
      id: "manifest-missing",
      severity: "error",
      summary: `${newest.message}${others}`,
      remedy:
        "bring manifest.json back from a copy of the repository, and it can be restored; no backup removes it: what is of no use, remove by hand",
    },
  ];
}

/** A running backup looks like an interrupted one, but for its lock. */
export async function unfinishedAlerts(
  repository: Repository,
  folder: DatabaseFolder,
): Promise<Finding[]> {
  const unfinished = await findUnfinished(folder);
  if (!unfinished || (await repository.isLocked(lockName(folder)))) return [];
  const { id, bytes } = unfinished;
  // It may have ended since, and let go of its lock.
  if (await folder.storage.stat(`${folder.backupPath(id)}/manifest.json`)) return [];
  return [
    {
      id: "backup-interrupted",
      severity: "warning",
      summary: `the backup ${id} of ${folder.database} was interrupted, and ${bytes} bytes of it lie in the repository`,
      remedy: `take the next one: ${NEXT_ONE[folder.engine]}`,
    },
  ];
}

const NEXT_ONE: Readonly<Record<EngineKind, string>> = {
  sqlite: "lifeboat backup removes what it stored",
  postgres:
    "lifeboat backup --transport parallel goes on with what it stored, any other removes that",
};
