import {
  chosenBackup,
  type Manifest,
  type RestoredDatabase,
  type RestoreRequest,
  type VerifiedBy,
} from "@lifeboat/core";
import { isFaultOfTarget, targetFailure } from "./archive/target-failure.ts";
import { restoreDelta } from "./delta/restore-delta.ts";
import { type PostgresDetails, postgresDetails } from "./details.ts";
import type { Account } from "./files/account.ts";
import { inParallel } from "./in-parallel.ts";
import { type RestorePlaces, restorePlaces } from "./places/restore-places.ts";
import { Sites } from "./places/restore-sites.ts";
import { linkTablespaces } from "./places/tablespace-links.ts";
import { combineBackups, combineProgram } from "./restore/combine.ts";
import { bytesOf, completeCopy, USUAL_JOBS } from "./restore/complete-copy.ts";
import { ownerFor } from "./restore/copy-owner.ts";
import { assertExtractable } from "./restore/extract-target.ts";
import { proveRecovery } from "./restore/prove-recovery.ts";
import { assertRoom, combinedRoom, roomWanted } from "./restore/target-room.ts";
import { verifyCopy } from "./restore/verify-copy.ts";
import type { ServerPrograms } from "./server/programs.ts";
import { restoreProgress, type Through } from "./unpack/progress.ts";
import { type BackupContent, unpackBase, unpackTablespace } from "./unpack/unpack-backup.ts";

/** What makes the copy what its caller wants, where it is built: if it fails, nothing is left of the copy. */
export type Finish = (
  directory: string,
  owned: { readonly account: Account; readonly mode: number },
) => Promise<void>;

/**
 * Restores a base backup as a data directory that recovers to the plan's target when it is started.
 * Needs no program of Postgres, but for incremental backups: pg_combinebackup puts them together.
 *
 * Everything is built beside its place, checked, made durable, and then given its name: tablespaces
 * first, the data directory last.
 * @throws LifeboatError what {@link restorePlaces} and {@link assertRoom} refuse; `CHECKSUM_MISMATCH`, `OBJECT_MISSING`,
 *   `ARCHIVE_UNSAFE`, `ARCHIVE_INVALID`, `BACKUP_INCOMPLETE`, naming the object; `TARGET_FULL`,
 *   `TARGET_UNWRITABLE`; `PROGRAMS_NOT_FOUND` and what {@link combineBackups} throws
 */
export async function restorePostgres(
  request: RestoreRequest,
  {
    binDirectory,
    finish,
  }: { readonly binDirectory?: string | undefined; readonly finish?: Finish } = {},
): Promise<RestoredDatabase> {
  if (request.delta) return restoreDelta(request, { binDirectory });
  const { backups } = request.plan;
  const manifest = chosenBackup(request.plan);
  const details = postgresDetails(manifest);
  const programs =
    backups.length > 1
      ? await combineProgram(binDirectory, Math.trunc(details.serverVersion / 10_000))
      : undefined;
  if (request.extract) await assertExtractable(request.extract, details, binDirectory);
  const places = await freePlaces(request, details).catch((cause) => {
    throw isFaultOfTarget(cause) ? targetFailure(request.to, cause) : cause;
  });
  // A drill starts the copy at once: no archive chooses the account that its server runs as.
  const owner = request.tablespaceRoot === null ? details.owner : null;
  const account = await ownerFor(places.dataDirectory, owner);
  let sites: Sites | undefined;
  try {
    sites = await Sites.open(places, account);
    const own = { manifest, details, places, account, sites, programs, binDirectory };
    const { mode, ...built } = await build(request, own);
    await finish?.(sites.data.path, { account, mode });
    await sites.putInPlace();
    return {
      path: places.dataDirectory,
      bytes: bytesOf(backups),
      willRecoverTo: request.plan.willRecoverTo,
      recoveredTo: null,
      ...built,
    };
  } catch (cause) {
    await sites?.discard();
    throw isFaultOfTarget(cause) ? targetFailure(places.dataDirectory, cause) : cause;
  }
}

/** Where everything goes, proved to be free and to have room, before anything is written. */
async function freePlaces(
  request: RestoreRequest,
  details: PostgresDetails,
): Promise<RestorePlaces> {
  const { serverVersion, tablespaces } = details;
  const major = Math.trunc(serverVersion / 10_000);
  const places = await restorePlaces(request, { major, tablespaces });
  await assertRoom(roomWanted(request.plan.backups, places));
  return places;
}

interface Building {
  /** The backup whose state the copy holds. */
  readonly manifest: Manifest;
  /** Of pg_combinebackup, where there are incremental backups. */
  readonly programs: ServerPrograms | undefined;
  readonly details: PostgresDetails;
  readonly places: RestorePlaces;
  readonly account: Account;
  readonly sites: Sites;
  readonly binDirectory: string | undefined;
}

/** The copy, whole and durable, where it is built. */
async function build(request: RestoreRequest, building: Building) {
  const { manifest, details, places, account, sites, binDirectory } = building;
  const { report, signal } = request;
  const directory = sites.data.path;
  const through = restoreProgress(request, details);
  const mode = await unpackAll(request, building, through);
  // The one is another program's work, the other reads the repository: together they take as long as the longer.
  let verified: VerifiedBy | undefined;
  // pg_combinebackup writes the links' places anew, and copies what the manifest says of the file.
  const rewritten = building.programs ? ["tablespace_map"] : [];
  const verifying = { details, account, binDirectory, rewritten, report };
  const proofs = [
    async (signal: AbortSignal) => {
      if (!request.skipCheck) verified = await verifyCopy(sites, { ...verifying, signal });
    },
    async (signal: AbortSignal) => {
      if (!request.comesToLife) await proveRecovery({ ...request, signal }, details);
    },
  ];
  await inParallel(proofs, { jobs: 2, signal }, (prove, both) => prove(both));
  await linkTablespaces(directory, places.tablespaces, { account, mode });
  const copy = { manifest, details, account, mode, through, directory, binDirectory };
  const findings = await completeCopy(request, { ...copy, dataDirectory: places.dataDirectory });
  return { findings, verified, mode };
}

/** The data directory and the tablespaces of the backup, as they will lie, in the folders where they are built. */
async function unpackAll(
  request: RestoreRequest,
  { places, account, sites, programs }: Building,
  through: Through,
): Promise<number> {
  const { plan, folder, report, signal, jobs = USUAL_JOBS } = request;
  const content = (manifest: Manifest): BackupContent => ({
    ...{ folder, manifest, details: postgresDetails(manifest), account, through, jobs, signal },
  });
  if (!programs) return unpackInto(content(plan.backups[0]), sites);
  const inputs: Sites[] = [];
  try {
    let mode = 0o600;
    for (const manifest of plan.backups) {
      const input = await Sites.open(places, account, { forGood: false });
      inputs.push(input);
      mode = await unpackInto(content(manifest), input);
      const links = input.tablespaces.map(({ tablespace, site }) => ({
        tablespace,
        place: site.path,
      }));
      await linkTablespaces(input.data.path, links, { account, mode });
    }
    // Other programs have written meanwhile.
    await assertRoom(combinedRoom(plan.backups, places));
    report({ note: `combining ${plan.backups.length} backups` });
    const { backups } = plan;
    await combineBackups({ programs, account, inputs, output: sites, backups, signal });
    return mode;
  } finally {
    for (const input of inputs) await input.discard();
  }
}

/** Of tablespaces only those that the backup had: an earlier one may lack some. */
async function unpackInto(backup: BackupContent, sites: Sites): Promise<number> {
  const mode = await unpackBase(backup, sites.data.path);
  for (const { tablespace, site } of sites.tablespaces) {
    const own = backup.details.tablespaces.find(({ oid }) => oid === tablespace.oid);
    if (own) await unpackTablespace(backup, own, site.path);
  }
  return mode;
}
