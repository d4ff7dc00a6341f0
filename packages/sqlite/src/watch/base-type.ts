import { type BackupType, backupChain, LifeboatError, type Manifest } from "@lifeboat/core";

/**
 * What a new lineage begins with: the pages that changed since the newest backup, for as long as all that was laid over
 * the full one is less than that. From there on a full one costs no more, and what a restore has to read, and
 * `prune` to keep, would grow with each lineage.
 * @param backups oldest first
 */
export function baseType(backups: readonly Manifest[]): BackupType {
  const newest = backups.at(-1);
  const chain = newest && chainOf(newest, backups);
  if (!chain) return "full";
  const [full, ...increments] = chain;
  const laidOver = increments.reduce((bytes, { storedBytes }) => bytes + storedBytes, 0);
  return laidOver < full.storedBytes ? "incremental" : "full";
}

/** Undefined where it is broken: a watch that began upon it would never begin. */
function chainOf(newest: Manifest, backups: readonly Manifest[]) {
  try {
    return backupChain(newest, backups);
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    return undefined;
  }
}
