import {
  type DatabaseFolder,
  type Manifest,
  type RecoveryTarget,
  WatchNotes,
} from "@lifeboat/core";
import { whileMerging } from "./compact/while-merging.ts";
import { detailsOf } from "./details.ts";
import { type Lineages, lineagesOf } from "./log/objects.ts";
import { lastOf } from "./log/start.ts";
import { endOfLog, windowsIn } from "./log/windows.ts";
import { holdSocket, ShippedElsewhere } from "./watch/hold-elsewhere.ts";
import { type IdleLog, isIdleLog, knownUntil } from "./watch/idle-log.ts";

/**
 * An instant behind the last commit, while the watch ran and found nothing: what it recovers to is that commit. Only the watch
 * knows that, so it is asked, or its last note read where it ended in order, and only on its own host.
 * @param directory where watches of this account are found
 * @returns the instant of that commit, in ms; undefined where nothing proves that none came after it
 */
export async function lastCommitBefore(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  { at, directory }: { readonly at: Date; readonly directory: string | undefined },
): Promise<number | undefined> {
  if (directory === undefined) return undefined;
  const { lineages, windows } = await whileMerging(folder, async () => {
    const listed = await lineagesOf(folder);
    return { lineages: listed, windows: await windowsIn(folder, backups, listed) };
  });
  const end = Date.parse(windows.at(-1)?.to ?? "");
  if (!(at.getTime() > end)) return undefined;
  const idle = await knownIdle(directory, folder);
  if (!idle || at.getTime() > knownUntil(idle)) return undefined;
  return isWhole(idle, { backups, lineages, end }) ? end : undefined;
}

/** The target that a plan is made for: that commit, where the instant lies behind it. */
export async function settledTarget(
  folder: DatabaseFolder,
  backups: readonly Manifest[],
  {
    target,
    directory,
  }: { readonly target: RecoveryTarget; readonly directory: string | undefined },
): Promise<RecoveryTarget> {
  if (target.kind !== "time") return target;
  const last = await lastCommitBefore(folder, backups, { at: target.at, directory });
  return last === undefined ? target : { kind: "time", at: new Date(last), exclusive: false };
}

/** Whether the repository's log ends where the watch's does, and its last window with it. */
function isWhole(
  { lineage, number }: IdleLog,
  log: {
    readonly backups: readonly Manifest[];
    readonly lineages: Lineages;
    readonly end: number;
  },
): boolean {
  const { backups, lineages, end } = log;
  const named = backups.flatMap((manifest) => detailsOf(manifest).log?.lineage ?? []);
  if ([...lineages.keys(), ...named].sort().at(-1) !== lineage) return false;
  const frames = (lineages.get(lineage) ?? []).filter(({ kind }) => kind === "frames");
  if (lastOf(frames) !== number) return false;
  return backups.some(
    (manifest) =>
      detailsOf(manifest).log?.lineage === lineage && endOfLog(manifest, lineages) === end,
  );
}

async function knownIdle(directory: string, folder: DatabaseFolder): Promise<IdleLog | undefined> {
  const watch = await ShippedElsewhere.find(holdSocket(directory, folder), "");
  if (watch) return watch.idle().finally(() => watch.close());
  const note = await new WatchNotes(directory).read(folder);
  const { idle } = (note?.facts ?? {}) as { idle?: unknown };
  return isIdleLog(idle) ? idle : undefined;
}
