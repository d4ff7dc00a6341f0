import {
  chosenBackup,
  type Finding,
  LifeboatError,
  type RestoredDatabase,
  type RestoreRequest,
} from "@lifeboat/core";
import { isFaultOfTarget, targetFailure } from "../archive/target-failure.ts";
import { type PostgresDetails, postgresDetails } from "../details.ts";
import { leftoverPrefix } from "../places/leftovers.ts";
import { writeTablespaceMap } from "../places/tablespace-links.ts";
import { bytesOf, completeCopy, USUAL_JOBS } from "../restore/complete-copy.ts";
import { ownerFor } from "../restore/copy-owner.ts";
import { assertExtractable } from "../restore/extract-target.ts";
import { proveRecovery } from "../restore/prove-recovery.ts";
import { readRanges } from "../snapshot/stored-ranges.ts";
import { restoreProgress, type Through } from "../unpack/progress.ts";
import { type BackupContent, unpackBase, unpackTablespace } from "../unpack/unpack-backup.ts";
import { blockLayoutOf } from "./block-layout.ts";
import { DeltaLayers } from "./delta-layer.ts";
import { deltaPlaces } from "./delta-places.ts";
import { DeltaTally } from "./delta-tally.ts";
import { CONTROL_ASIDE, HalfDone } from "./half-done.ts";
import { relinkTablespaces } from "./relink-tablespaces.ts";

/**
 * Brings a standing data directory of the same cluster to a backup's state, and keeps what agrees with
 * it; an incremental one's through the chain that it builds on. It works in place: from its first change to its last the directory has no pg_control, so a run
 * that is killed leaves one that cannot be started by mistake, and that the next run completes.
 * @throws LifeboatError what {@link deltaPlaces} refuses, before anything is touched; kind `locked`: `DELTA_RUNNING`; what a restore throws
 */
export async function restoreDelta(
  request: RestoreRequest,
  { binDirectory }: { readonly binDirectory?: string | undefined },
): Promise<RestoredDatabase> {
  const { plan, folder } = request;
  const details = postgresDetails(chosenBackup(plan));
  if (request.extract) await assertExtractable(request.extract, details, binDirectory);
  const places = await deltaPlaces(request, details).catch((cause) => {
    throw isFaultOfTarget(cause) ? targetFailure(request.to, cause) : cause;
  });
  const { dataDirectory } = places;
  const account = await ownerFor(dataDirectory, details.owner);
  // All that can be known to be missing is known before the first change.
  if (!request.comesToLife) await proveRecovery(request, details);
  const ranges = await readRanges(folder, plan.backups[0]);
  const assertFree = async () => void (await deltaPlaces(request, details));
  const half = await HalfDone.begin(dataDirectory, details.systemIdentifier, {
    ...{ account, assertFree },
  });
  try {
    const work = { details, places, account, ranges, half, binDirectory };
    const made = await bringTo(request, work);
    await half.complete();
    return {
      path: dataDirectory,
      bytes: bytesOf(plan.backups),
      willRecoverTo: plan.willRecoverTo,
      recoveredTo: null,
      ...made,
    };
  } catch (cause) {
    await half.giveUp();
    throw leftHalfDone(dataDirectory, cause, request.signal);
  }
}

interface Work {
  readonly details: PostgresDetails;
  readonly places: Awaited<ReturnType<typeof deltaPlaces>>;
  readonly account: Awaited<ReturnType<typeof ownerFor>>;
  readonly ranges: Awaited<ReturnType<typeof readRanges>>;
  readonly half: HalfDone;
  readonly binDirectory: string | undefined;
}

async function bringTo(request: RestoreRequest, work: Work) {
  const { details, places, account } = work;
  const { plan } = request;
  const { dataDirectory: directory, tablespaces } = places;
  const relinked = await relinkTablespaces(directory, tablespaces, account);
  const through = restoreProgress(request, details);
  const { mode, layers, tally } = await layBackups(request, { ...work, through });
  await writeTablespaceMap(directory, tablespaces, { account, mode });
  const manifest = chosenBackup(plan);
  const { binDirectory } = work;
  const copy = { manifest, details, account, mode, through, directory, binDirectory };
  const findings = await completeCopy(request, { ...copy, dataDirectory: directory });
  const trees = layers.flatMap((each) => each.trees);
  const removed = trees.reduce((sum, tree) => sum + tree.removed, relinked);
  const links = trees.flatMap(({ removedLinks }) => removedLinks);
  return {
    findings: [
      ...(work.ranges ? [] : [withoutRanges(plan.backups[0].id)]),
      ...links.map((link) => linkRemoved(link)),
      ...findings,
    ],
    delta: tally.counts(removed),
  };
}

/** The full backup by its ranges, and then each incremental one upon what stands; what the last has not goes. */
async function layBackups(request: RestoreRequest, work: Work & { readonly through: Through }) {
  const { places, account, ranges, half, through } = work;
  const { folder, plan, signal, jobs = USUAL_JOBS } = request;
  const { dataDirectory: directory, tablespaces } = places;
  const { backups } = plan;
  const tally = new DeltaTally();
  const keeps = (path: string) => half.isMark(path) || isOthers(path, directory);
  // An incremental one's lists changed blocks, and not the files that are made of them.
  const passOver = new Set(backups.length > 1 ? ["backup_manifest"] : []);
  const layers: DeltaLayers[] = [];
  let mode = 0o600;
  for (const [index, manifest] of backups.entries()) {
    const details = postgresDetails(manifest);
    const backup = { folder, manifest, details, account, through, jobs, signal };
    const before = layers.at(-1);
    const layout = before && (await blockLayoutOf(directory, CONTROL_ASIDE, manifest.id));
    const own = new DeltaLayers({
      ...{ backup, tally, keeps, passOver },
      ranges: before ? undefined : ranges,
      upon: before && layout && { before, layout },
      isLast: index === backups.length - 1,
    });
    layers.push(own);
    const content: BackupContent = { ...backup, layer: (init) => own.open(init) };
    mode = await unpackBase(content, directory);
    for (const { tablespace, place } of tablespaces) {
      const detail = details.tablespaces.find(({ oid }) => oid === tablespace.oid);
      // An earlier one may lack it.
      if (detail) await unpackTablespace(content, detail, place);
    }
  }
  return { mode, layers, tally };
}

/** What a mount point has of its own, and what restores build that are not this one. */
function isOthers(path: string, directory: string): boolean {
  return path === "lost+found" || path.startsWith(leftoverPrefix(directory));
}

/** In place of what made it fail: what that left, and how to go on. */
function leftHalfDone(directory: string, cause: unknown, { aborted }: AbortSignal): unknown {
  const next = `${directory} is half-done and does not start: run restore --delta again, or without it and with --force`;
  if (cause instanceof LifeboatError && !aborted) {
    const { code, kind, message, remedy, details } = cause;
    return new LifeboatError({ code, kind, message, remedy: `${remedy}; ${next}`, details, cause });
  }
  if (aborted)
    return new LifeboatError({
      code: "DELTA_STOPPED",
      message: `stopped while ${directory} was being restored`,
      remedy: next,
      details: { path: directory },
      cause,
    });
  if (!isFaultOfTarget(cause)) return cause;
  const { code, message } = targetFailure(directory, cause);
  const first = code === "TARGET_FULL" ? "make room" : "let this account write there";
  const details = { path: directory, system: cause.code ?? null };
  return new LifeboatError({ code, message, remedy: `${first}; ${next}`, details, cause });
}

function withoutRanges(backup: string): Finding {
  return {
    id: "delta-without-ranges",
    severity: "info",
    summary: `${backup} was taken before backups noted the digests of their ranges: all of it was read, and what differed was written`,
    remedy: "the next full backup has them, and a delta restore of it reads only what differs",
  };
}

function linkRemoved(link: string): Finding {
  return {
    id: "link-removed",
    severity: "warning",
    summary: `a link that is not in the backup was removed: ${link}; what it leads to was left alone`,
    remedy:
      "what lies there is of no use to this copy any more: look through it, and remove it by hand",
  };
}
