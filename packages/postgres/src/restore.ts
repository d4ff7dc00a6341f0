import {
  type Finding,
  notAvailable,
  type RestoredDatabase,
  type RestoreRequest,
} from "@lifeboat/core";
import { type Account, namedAccount, unprivilegedOwner } from "./account.ts";
import { layConsistencyWal } from "./consistency-wal.ts";
import { type PostgresDetails, postgresDetails } from "./details.ts";
import { syncDirectories } from "./durable.ts";
import { laySettings } from "./lay-settings.ts";
import { proveRecovery } from "./prove-recovery.ts";
import { configureRecovery } from "./recovery-files.ts";
import { newerTimelines, restoreFindings } from "./restore-findings.ts";
import { type RestorePlaces, restorePlaces } from "./restore-places.ts";
import { restoreProgress } from "./restore-progress.ts";
import { Sites } from "./restore-sites.ts";
import { linkTablespaces } from "./tablespace-links.ts";
import { isFaultOfTarget, targetFailure } from "./target-failure.ts";
import { unpackBase, unpackTablespace } from "./unpack-backup.ts";

/**
 * Restores a base backup as a data directory that recovers to the plan's target when it is started.
 * Needs no program of Postgres.
 *
 * Everything is built beside its place, checked, made durable, and then given its name: tablespaces
 * first, the data directory last.
 * @throws LifeboatError what {@link restorePlaces} refuses; `CHECKSUM_MISMATCH`, `OBJECT_MISSING`,
 *   `ARCHIVE_UNSAFE`, `ARCHIVE_INVALID`, `BACKUP_INCOMPLETE`, naming the object; `TARGET_FULL`,
 *   `TARGET_UNWRITABLE`
 */
export async function restorePostgres(request: RestoreRequest): Promise<RestoredDatabase> {
  const [manifest, ...incremental] = request.plan.backups;
  if (incremental.length > 0) throw notAvailable("restoring an incremental Postgres backup");
  const details = postgresDetails(manifest);
  const places = await restorePlaces(request, details).catch((cause) => {
    throw isFaultOfTarget(cause) ? targetFailure(request.to, cause) : cause;
  });
  // A drill starts the copy at once: no archive chooses the account that its server runs as.
  const owner = request.tablespaceRoot === null ? details.owner : null;
  const account = await ownerFor(places.dataDirectory, owner);
  let sites: Sites | undefined;
  try {
    sites = await Sites.open(places, account);
    const findings = await build(request, { details, places, account, sites });
    await sites.putInPlace();
    return {
      path: places.dataDirectory,
      bytes: manifest.objects.reduce((sum, { content }) => sum + content.bytes, 0),
      willRecoverTo: request.plan.willRecoverTo,
      recoveredTo: null,
      findings,
    };
  } catch (cause) {
    await sites?.discard();
    throw isFaultOfTarget(cause) ? targetFailure(places.dataDirectory, cause) : cause;
  }
}

interface Building {
  readonly details: PostgresDetails;
  readonly places: RestorePlaces;
  readonly account: Account;
  readonly sites: Sites;
}

/** The copy, whole and durable, where it is built. */
async function build(
  request: RestoreRequest,
  { details, places, account, sites }: Building,
): Promise<Finding[]> {
  const { folder, plan } = request;
  const [manifest] = plan.backups;
  const directory = sites.data.path;
  const through = restoreProgress(request, details);
  const backup = { folder, manifest, details, account, through };
  const mode = await unpackBase(backup, directory);
  for (const { tablespace, site } of sites.tablespaces)
    await unpackTablespace(backup, tablespace, site.path);
  await linkTablespaces(directory, places.tablespaces, { account, mode });
  if (request.proveLog) await proveRecovery(request, details);
  await layConsistencyWal({ folder, details, directory, account, mode, through });
  const { dataDirectory } = places;
  const laid = { folder, manifest, details, directory, dataDirectory, account, mode };
  const rewritten = await laySettings(laid);
  const recovery = { timeline: details.timeline, fetchCommand: request.fetchCommand };
  await configureRecovery(directory, plan, recovery, { account, mode });
  // Of a backup's own state there is no choice of timelines.
  const chosen = plan.target.kind !== "backup" && plan.target.kind !== "immediate";
  const timelines = chosen ? await newerTimelines(folder, plan.timeline ?? details.timeline) : [];
  const findings = [...timelines, ...(await restoreFindings(directory, dataDirectory))];
  await syncDirectories([directory]);
  return [...rewritten, ...findings];
}

/** For root: whoever owns the directory already, else the account that owned the original, if this host knows it. */
async function ownerFor(place: string, owner: string | null): Promise<Account> {
  const names = owner === null ? [] : [owner];
  const fallback = await namedAccount(...names, "postgres", "nobody");
  return fallback.foreign ? ((await unprivilegedOwner(place)) ?? fallback) : fallback;
}
