import { availableParallelism } from "node:os";
import {
  chosenBackup,
  type Finding,
  type Manifest,
  type RestoredDatabase,
  type RestoreRequest,
} from "@lifeboat/core";
import { type Account, namedAccount, unprivilegedOwner } from "./account.ts";
import { combineBackups, combineProgram } from "./combine.ts";
import { layConsistencyWal } from "./consistency-wal.ts";
import { damageFindings } from "./damage.ts";
import { type PostgresDetails, postgresDetails } from "./details.ts";
import { syncDirectories } from "./durable.ts";
import { layExtraPaths } from "./extra-paths.ts";
import { extractPrograms } from "./extract.ts";
import { laySettings } from "./lay-settings.ts";
import type { ServerPrograms } from "./programs.ts";
import { proveRecovery } from "./prove-recovery.ts";
import { configureRecovery } from "./recovery-files.ts";
import { newerTimelines, restoreFindings } from "./restore-findings.ts";
import { type RestorePlaces, restorePlaces } from "./restore-places.ts";
import { restoreProgress, type Through } from "./restore-progress.ts";
import { Sites } from "./restore-sites.ts";
import { linkTablespaces } from "./tablespace-links.ts";
import { isFaultOfTarget, targetFailure } from "./target-failure.ts";
import { assertRoom, combinedRoom, roomWanted } from "./target-room.ts";
import { type BackupContent, unpackBase, unpackTablespace } from "./unpack-backup.ts";

/** Nothing is disturbed by a restore: all cores, within reason. */
const USUAL_JOBS = Math.min(4, availableParallelism());

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
  { binDirectory }: { readonly binDirectory?: string | undefined } = {},
): Promise<RestoredDatabase> {
  const { backups } = request.plan;
  const manifest = chosenBackup(request.plan);
  const details = postgresDetails(manifest);
  const programs =
    backups.length > 1
      ? await combineProgram(binDirectory, Math.trunc(details.serverVersion / 10_000))
      : undefined;
  if (request.willExtract)
    await extractPrograms(binDirectory, Math.trunc(details.serverVersion / 10_000));
  const places = await freePlaces(request, details).catch((cause) => {
    throw isFaultOfTarget(cause) ? targetFailure(request.to, cause) : cause;
  });
  // A drill starts the copy at once: no archive chooses the account that its server runs as.
  const owner = request.tablespaceRoot === null ? details.owner : null;
  const account = await ownerFor(places.dataDirectory, owner);
  let sites: Sites | undefined;
  try {
    sites = await Sites.open(places, account);
    const findings = await build(request, { manifest, details, places, account, sites, programs });
    await sites.putInPlace();
    return {
      path: places.dataDirectory,
      bytes: backups.reduce(
        (sum, { objects }) => objects.reduce((all, { content }) => all + content.bytes, sum),
        0,
      ),
      willRecoverTo: request.plan.willRecoverTo,
      recoveredTo: null,
      findings,
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
  const places = await restorePlaces(request, details);
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
}

/** The copy, whole and durable, where it is built. */
async function build(request: RestoreRequest, building: Building): Promise<Finding[]> {
  const { manifest, details, places, account, sites } = building;
  const { folder, plan } = request;
  const directory = sites.data.path;
  const through = restoreProgress(request, details);
  const mode = await unpackAll(request, building, through);
  await linkTablespaces(directory, places.tablespaces, { account, mode });
  if (request.proveLog) await proveRecovery(request, details);
  await layConsistencyWal({ folder, details, directory, account, mode, through });
  const { dataDirectory } = places;
  const laid = { folder, manifest, details, directory, dataDirectory, account, mode };
  const rewritten = await laySettings(laid);
  const { jobs = USUAL_JOBS, signal } = request;
  const content = { folder, manifest, details, account, through, jobs, signal };
  const extra = await layExtraPaths(content, directory, dataDirectory);
  const recovery = { timeline: details.timeline, fetchCommand: request.fetchCommand };
  await configureRecovery(directory, plan, recovery, { account, mode });
  // Of a backup's own state there is no choice of timelines.
  const chosen = plan.target.kind !== "backup" && plan.target.kind !== "immediate";
  const timelines = chosen ? await newerTimelines(folder, plan.timeline ?? details.timeline) : [];
  const findings = [...timelines, ...(await restoreFindings(directory, dataDirectory))];
  await syncDirectories([directory]);
  return [...damageFindings(details.damage), ...rewritten, ...extra, ...findings];
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

/** For root: whoever owns the directory already, else the account that owned the original, if this host knows it. */
async function ownerFor(place: string, owner: string | null): Promise<Account> {
  const names = owner === null ? [] : [owner];
  const fallback = await namedAccount(...names, "postgres", "nobody");
  return fallback.foreign ? ((await unprivilegedOwner(place)) ?? fallback) : fallback;
}
