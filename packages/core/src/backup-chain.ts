import type { RecoveryPlan } from "./engine.ts";
import { LifeboatError } from "./errors.ts";
import type { Manifest } from "./manifest.ts";

/** The backup whose state a plan begins with: the last of its chain. */
export function chosenBackup({ backups }: Pick<RecoveryPlan, "backups">): Manifest {
  return backups.at(-1) ?? backups[0];
}

/**
 * What a backup consists of: the full one that it builds on first, then each incremental one, itself last.
 * @param manifests the backups of its database, in any order
 * @throws LifeboatError `BACKUP_PARENT_MISSING` naming the one that is not there, or whose manifest
 *   cannot be read; `MANIFEST_CORRUPT` when the parents lead round in a circle
 */
export function backupChain(
  manifest: Manifest,
  manifests: readonly Manifest[],
): readonly [Manifest, ...Manifest[]] {
  const chain: [Manifest, ...Manifest[]] = [manifest];
  for (let { parent } = manifest; parent !== null; { parent } = chain[0]) {
    const found = manifests.find(({ id }) => id === parent);
    if (!found) throw parentMissing(manifest, parent);
    if (chain.includes(found)) throw circular(manifest);
    chain.unshift(found);
  }
  return chain;
}

function parentMissing(manifest: Manifest, parent: string): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_PARENT_MISSING",
    message: `backup ${manifest.id} builds on ${parent}, which is not there or whose manifest is damaged`,
    remedy: "restore another backup (lifeboat list); lifeboat verify finds all that is damaged",
    details: { backup: manifest.id, parent },
  });
}

function circular(manifest: Manifest): LifeboatError {
  return new LifeboatError({
    code: "MANIFEST_CORRUPT",
    message: `backup ${manifest.id} builds on itself`,
    remedy: "restore another backup (lifeboat list)",
    details: { backup: manifest.id },
  });
}
