import {
  type DatabaseFolder,
  type Finding,
  LifeboatError,
  type Manifest,
  type Reach,
} from "@lifeboat/core";
import { whileMerging } from "../compact/while-merging.ts";
import { detailsOf } from "../details.ts";
import { coverOf, hasHoleAt } from "./cover.ts";
import { lostOfLog, wordOfWatch } from "./lost-segments.ts";
import { type Lineages, type LogObject, lineagesOf } from "./objects.ts";
import { endOfLog, windowsIn } from "./windows.ts";

/**
 * What lies behind the newest instant that can be reached, and what is missing on the way to it; undefined where nothing does.
 * @param reached in ms
 */
export function holeBehind(
  folder: DatabaseFolder,
  lineages: Lineages,
  reached: number,
): LifeboatError | undefined {
  for (const [lineage, objects] of lineages)
    if (objects.some(({ instant }) => instant > reached))
      return hole(`${folder.path}/wal/${lineage}`, objects, reached);
  return undefined;
}

export interface ReachOptions {
  /** The backups that can be restored; what the others tell of the log is true all the same. */
  readonly usable: readonly Manifest[];
  /** Where watches of this account leave word. */
  readonly directory: string | undefined;
}

/**
 * What can be restored, and for `status` what behind a hole can't: a watch goes on where it was, and knows nothing of segments that were
 * lost since, or of a repository that was brought back from an older copy of itself.
 * @param backups those that have all that they build on
 * @throws LifeboatError `MANIFEST_CORRUPT` naming a backup whose details are damaged
 */
export async function reachOfLog(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  { usable, directory }: ReachOptions,
): Promise<Reach> {
  const known = new Set(backups.map((each) => detailsOf(each).log?.lineage));
  const { lineages, windows } = await whileMerging(folder, async () => {
    const listed = await lineagesOf(folder);
    return { lineages: listed, windows: await windowsIn(folder, usable, listed, backups) };
  });
  const find = (listed: Lineages) => {
    // One that no backup names may have been begun since the backups were read.
    const own = new Map([...listed].filter(([lineage]) => known.has(lineage)));
    const reached = backups.reduce((most, each) => Math.max(most, endOfLog(each, own)), 0);
    return holeBehind(folder, own, reached);
  };
  return {
    windows,
    async holes() {
      // Looked for twice: segments are stored, and merged, meanwhile.
      const hole = find(lineages) && find(await lineagesOf(folder));
      return hole ? [finding(folder, hole)] : [];
    },
    async lost(drills) {
      const watch = await wordOfWatch(folder, directory);
      return lostOfLog(folder, backups, await lineagesOf(folder), { drills, watch });
    },
  };
}

function finding({ database }: DatabaseFolder, { message }: LifeboatError): Finding {
  return {
    id: "log-hole",
    severity: "error",
    summary: `${database}: ${message}`,
    remedy:
      "take a new backup: lifeboat backup; or bring what is missing back from a copy of the repository",
  };
}

function hole(path: string, objects: readonly LogObject[], reached: number): LifeboatError {
  const { next } = coverOf(objects, objects[0]?.first ?? 1, () => true);
  const missing = hasHoleAt(objects, next)
    ? `segment ${next} of ${path} is missing`
    : `no backup leads to ${path}`;
  const until = new Date(reached).toISOString();
  return new LifeboatError({
    code: "LOG_HOLE",
    message: `the log goes on after ${until}, but ${missing}: what follows cannot be restored`,
    remedy: `bring it back from a copy of the repository, or restore what there is up to the hole: --at ${until}`,
    details: { object: path, until },
  });
}
