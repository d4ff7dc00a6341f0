import { byChain } from "./backup-chain.ts";
import { type BackupSummary, summaryOf } from "./backup-summary.ts";
import { windowsAhead } from "./clock-behind.ts";
import type { DatabaseFolder } from "./database-folder.ts";
import type { DrillRecord } from "./drill-record.ts";
import type { Engine, EngineStatus, Problem } from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { configuredDatabases, engineOf } from "./engine-of.ts";
import type { Finding } from "./finding.ts";
import { lostLogFindings } from "./lost-log.ts";
import type { Manifest } from "./manifest.ts";
import { markFindings } from "./mark-findings.ts";
import { backupsAmiss, objectsAmiss } from "./objects-amiss.ts";
import { reachOf } from "./reach-of.ts";
import type { Repository } from "./repository.ts";
import type { WatchNotes } from "./watch-notes.ts";
import type { RecoveryWindow } from "./window.ts";
import { lostManifestAlerts, unfinishedAlerts } from "./without-manifest-alerts.ts";

export interface Status {
  readonly app: string;
  readonly live: EngineKind | null;
  readonly lastBackup: BackupSummary | null;
  readonly lastDrill: DrillRecord | null;
  readonly archive: EngineStatus["archive"];
  readonly slots: EngineStatus["slots"];
  /** What only the live engine knows of its shipping, by database; null where it says nothing. */
  readonly shipping: Readonly<Record<string, unknown>> | null;
  readonly windows: readonly RecoveryWindow[];
  readonly alerts: readonly Finding[];
}

/** A backup that nobody restored for so long is only believed to work. */
const DRILL_DAYS = 35;
const DAY_MS = 86_400_000;

/** How an app stands now: what can be restored, whether anyone proved it, and what wants attention. */
export async function status(request: {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  /** Only this engine's. */
  readonly engine?: EngineKind | undefined;
  readonly live: EngineKind | null;
  /** Where the watches of this machine leave word. */
  readonly notes?: WatchNotes;
}): Promise<Status> {
  const { repository, engines, live } = request;
  const manifests: Manifest[] = [];
  const windows: RecoveryWindow[] = [];
  const alerts: Finding[] = markFindings(repository);
  const held = new Set<string>();
  const drills = await repository.drills();
  const folders = await repository.folders(request.engine);
  const shipping = await shippingOf(request);
  for (const folder of folders) {
    const found = await repository.backups(folder);
    manifests.push(...found.manifests);
    if (found.manifests.length > 0) held.add(folder.database);
    const amiss = await objectsAmiss(folder, found.manifests);
    const known = await reachOf(engineOf(engines, folder.engine), folder, found.manifests, amiss);
    windows.push(...known.windows);
    alerts.push(...[...found.problems, ...known.problems].map(damaged));
    alerts.push(...backupsAmiss(folder, byChain(found.manifests).whole, amiss));
    const lost = (await known.lost?.(drills.records)) ?? [];
    alerts.push(...(await lostManifestAlerts(repository, folder, found)));
    alerts.push(...(await unfinishedAlerts(repository, folder)));
    // Before an upgrade it was another cluster, of which nothing comes any more.
    const isOver =
      folder.engine === "postgres" &&
      folder.database !==
        (shipping.database ?? folders.findLast(({ engine }) => engine === folder.engine)?.database);
    const isLive = !isOver && folder.engine === (live ?? folder.engine);
    const holes = isLive && known.windows.length > 0 ? await known.holes() : [];
    alerts.push(...holes);
    // What keeps the newest state from being restored says more than that something is gone there.
    const others = lost.filter(
      ({ object }) => !holes.some(({ summary }) => summary.includes(object)),
    );
    alerts.push(...lostLogFindings(others, "error"));
  }
  const newest = manifests.reduce<Manifest | null>(
    (best, each) => (best && best.finishedAt >= each.finishedAt ? best : each),
    null,
  );
  const lastDrill =
    drills.records.findLast((each) => each.engine === (request.engine ?? each.engine)) ?? null;
  const migrations = await repository.migrationRecords();
  alerts.push(...[...drills.problems, ...migrations.problems].map(damaged));
  alerts.push(
    ...(newest ? await lackingAlerts({ ...request, lives: shipping.database }, held) : NO_BACKUP),
  );
  alerts.push(...drillAlerts(lastDrill), ...shipping.alerts);
  alerts.push(...windowsAhead(windows));
  return {
    app: repository.app,
    live,
    lastBackup: newest && summaryOf(newest),
    lastDrill,
    archive: shipping.archive,
    slots: shipping.slots,
    shipping: shipping.shipping ?? null,
    windows,
    alerts,
  };
}

function damaged({ object, message }: Problem): Finding {
  return {
    id: "manifest-damaged",
    severity: "error",
    summary: `${object}: ${message}`,
    remedy: "lifeboat verify finds all that is damaged",
  };
}

/** How the log of the live engine is shipped. */
export async function shippingOf(request: {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  readonly live: EngineKind | null;
  readonly notes?: WatchNotes;
}): Promise<EngineStatus> {
  const { repository, engines, live, notes } = request;
  if (live === null) return { archive: null, slots: [], alerts: [] };
  const engine = engineOf(engines, live);
  const folders = await foldersOf(repository, engine);
  const found: EngineStatus[] = [];
  const alerts: Finding[] = [];
  const shipping: Record<string, unknown> = {};
  for (const supposed of folders) {
    const { folder, status } = await statusOf({ repository, engine, notes }, supposed);
    found.push(status);
    // Of several it must be said whose it is.
    const whose = folder && folders.length > 1 ? `${folder.database}: ` : "";
    alerts.push(...status.alerts.map((each) => ({ ...each, summary: `${whose}${each.summary}` })));
    if (folder && status.shipping) shipping[folder.database] = status.shipping;
  }
  const [{ database } = {}] = found;
  return {
    archive: worst(found.map(({ archive }) => archive)),
    slots: found.flatMap(({ slots }) => slots),
    alerts,
    ...(database !== undefined && { database }),
    ...(Object.keys(shipping).length > 0 && { shipping }),
  };
}

/** As it is asked about the folder that its live database turns out to have, which may be none: after an upgrade, or the way back from one. */
async function statusOf(
  about: {
    readonly repository: Repository;
    readonly engine: Engine;
    readonly notes: WatchNotes | undefined;
  },
  supposed: DatabaseFolder | null,
): Promise<{ folder: DatabaseFolder | null; status: EngineStatus }> {
  const { repository, engine, notes } = about;
  const ask = async (folder: DatabaseFolder | null) =>
    engine.status(folder, folder && notes ? await notes.read(folder) : null);
  const status = await ask(supposed);
  const { database = supposed?.database } = status;
  if (supposed === null || database === supposed.database) return { folder: supposed, status };
  const folders = await repository.folders(engine.kind);
  const folder = folders.find((each) => each.database === database) ?? null;
  return { folder, status: await ask(folder) };
}

/**
 * Those whose log is shipped: of a cluster the newest folder, since it was another one before an
 * upgrade; of SQLite every database that is configured, also one of which nothing is there. Null where there is no cluster's yet.
 */
async function foldersOf(
  repository: Repository,
  engine: Engine,
): Promise<readonly (DatabaseFolder | null)[]> {
  if (engine.kind === "postgres") return [(await repository.folders(engine.kind)).at(-1) ?? null];
  return (await engine.databases()).map((name) => repository.folder(engine.kind, name));
}

/** Where one of several databases lags, the app does. */
function worst(archives: readonly EngineStatus["archive"][]): EngineStatus["archive"] {
  const known = archives.filter((archive) => archive !== null);
  const lag = ({ lagSeconds }: (typeof known)[number]) => lagSeconds ?? Number.POSITIVE_INFINITY;
  return known.toSorted((a, b) => Number(a.ok) - Number(b.ok) || lag(b) - lag(a))[0] ?? null;
}

const TAKE_ONE = "take one with lifeboat backup";
const NO_BACKUP: readonly Finding[] = [
  { id: "no-backup", severity: "error", summary: "there is no backup yet", remedy: TAKE_ONE },
];

/**
 * Of several databases one may be new, or left out of every backup: a watch begins with one of its own only where there is a WAL. And a cluster
 * that was upgraded or made anew is another one than that of the backups before.
 */
async function lackingAlerts(
  {
    engines,
    engine,
    live,
    lives,
  }: Pick<Parameters<typeof status>[0], "engines" | "engine" | "live"> & {
    readonly lives: string | undefined;
  },
  held: ReadonlySet<string>,
): Promise<Finding[]> {
  if (live === null || (engine ?? live) !== live) return [];
  const names =
    live === "sqlite" ? await configuredDatabases(engineOf(engines, live)) : [lives ?? []].flat();
  return names
    .filter((name) => !held.has(name))
    .map((name) => ({
      id: "no-backup",
      severity: "error",
      summary:
        live === "sqlite"
          ? `there is no backup of ${name} yet`
          : `there is no backup of the cluster ${name}, which lives, yet: those in the repository are of another one, from before an upgrade or a new initdb`,
      remedy: TAKE_ONE,
    }));
}

function drillAlerts(last: DrillRecord | null): Finding[] {
  const remedy = "run lifeboat drill; a backup that nobody restored is only believed to work";
  if (!last)
    return [{ id: "no-drill", severity: "warning", summary: "no restore was drilled yet", remedy }];
  if (!last.ok) {
    const failed = last.checks.filter(({ ok }) => !ok);
    const found = failed.map(({ name, message }) => `${name} (${message})`).join("; ");
    return [
      {
        id: "drill-failed",
        severity: "error",
        summary: `the last drill (${last.id}) failed: ${found}`,
        remedy: "mend what it found, and drill again",
      },
    ];
  }
  const days = Math.floor((Date.now() - Date.parse(last.startedAt)) / DAY_MS);
  if (days < DRILL_DAYS) return [];
  return [
    {
      id: "drill-old",
      severity: "warning",
      summary: `the last drill was ${days} days ago`,
      remedy,
    },
  ];
}
