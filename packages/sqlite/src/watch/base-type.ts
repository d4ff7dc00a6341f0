import { type BackupType, backupChain, type Manifest } from "@lifeboat/core";

/**
 * What a new lineage begins with: the pages that changed since the newest backup, for as long as all that was laid over
 * the full one is less than that. From there on a full one costs no more, and what a restore has to read, and
 * `prune` to keep, would grow with each lineage.
 * @param backups oldest first, each with all that it builds on
 */
export function baseType(backups: readonly Manifest[]): BackupType {
  const newest = backups.at(-1);
  if (!newest) return "full";
  const [full, ...increments] = backupChain(newest, backups);
  const laidOver = increments.reduce((bytes, { storedBytes }) => bytes + storedBytes, 0);
  return laidOver < full.storedBytes ? "incremental" : "full";
}
