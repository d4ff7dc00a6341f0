import { access } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { LifeboatError } from "@lifeboat/core/errors";
import { settledPath } from "./settled-path.ts";

/**
 * What lies in a data directory its server takes for its own: a backup of it holds the copy too, and a restore of it removes that. The directory
 * itself may be meant, by --force or --delta.
 * @throws LifeboatError `TARGET_IN_DATA_DIRECTORY` (kind `refused`)
 */
export async function assertOutsideClusters(place: string): Promise<void> {
  const settled = await settledPath(resolve(place));
  for (let above = dirname(settled); above !== dirname(above); above = dirname(above)) {
    if (!(await isThere(join(above, "PG_VERSION")))) continue;
    throw new LifeboatError({
      code: "TARGET_IN_DATA_DIRECTORY",
      kind: "refused",
      message: `${place} lies in the data directory of a PostgreSQL cluster, ${above}`,
      remedy: "name a place outside of it",
      details: { path: place, dataDirectory: above },
    });
  }
}

/** What this account may not look at is not known to be one. */
async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
