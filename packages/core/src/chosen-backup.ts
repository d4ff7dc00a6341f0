import type { RecoveryPlan } from "./engine.ts";
import type { Manifest } from "./manifest.ts";

/** The backup that a plan restores: itself the base, or the last of the incremental ones upon it. */
export function chosenBackup({ backups }: RecoveryPlan): Manifest {
  return backups.at(-1) ?? backups[0];
}
