import { chainProblems } from "./backup-chain.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { Engine, Problem, Reach } from "./engine.ts";
import { LifeboatError } from "./errors.ts";
import type { Manifest } from "./manifest.ts";
import type { Amiss } from "./objects-amiss.ts";

/**
 * What can be restored of a database. A backup whose details only its engine can tell to be damaged is a
 * problem, and so is one that lacks what it builds on; the others are still to be listed.
 * @param amiss what a backup can't be restored without leaves no window
 */
export async function reachOf(
  engine: Engine,
  folder: DatabaseFolder,
  manifests: readonly Manifest[],
  amiss: readonly Amiss[] = [],
): Promise<Reach & { problems: readonly Problem[] }> {
  const without = new Set(amiss.filter((each) => each.isNeeded).map((each) => each.backup.id));
  const broken = chainProblems(folder, manifests);
  try {
    return { ...(await engine.reach(folder, manifests, { without })), problems: broken };
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError) || thrown.code !== "MANIFEST_CORRUPT") throw thrown;
    const { backup } = thrown.details;
    const object = manifests.some(({ id }) => id === backup)
      ? `${folder.backupPath(String(backup))}/manifest.json`
      : folder.path;
    const { code, message } = thrown;
    return { windows: [], holes: async () => [], problems: [...broken, { object, code, message }] };
  }
}
