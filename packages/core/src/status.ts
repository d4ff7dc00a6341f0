import { type BackupSummary, summaryOf } from "./backup-summary.ts";
import type { DrillRecord } from "./drill-record.ts";
import type { Engine, EngineKind, EngineStatus, Problem } from "./engine.ts";
import { engineOf } from "./engine-of.ts";
import type { Finding } from "./finding.ts";
import type { Manifest } from "./manifest.ts";
import type { Repository } from "./repository.ts";
import type { RecoveryWindow } from "./window.ts";
import { windowsOf } from "./windows-of.ts";

export interface Status {
  readonly app: string;
  readonly live: EngineKind | null;
  readonly lastBackup: BackupSummary | null;
  readonly lastDrill: DrillRecord | null;
  readonly archive: EngineStatus["archive"];
  readonly slots: EngineStatus["slots"];
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
  readonly live: EngineKind | null;
}): Promise<Status> {
  const { repository, engines, live } = request;
  const manifests: Manifest[] = [];
  const windows: RecoveryWindow[] = [];
  const alerts: Finding[] = [];
  for (const folder of await repository.folders()) {
    const found = await repository.backups(folder);
    manifests.push(...found.manifests);
    const known = await windowsOf(engineOf(engines, folder.engine), folder, found.manifests);
    windows.push(...known.windows);
    alerts.push(...[...found.problems, ...known.problems].map(damaged));
  }
  const newest = manifests.reduce<Manifest | null>(
    (best, each) => (best && best.finishedAt >= each.finishedAt ? best : each),
    null,
  );
  const drills = await repository.drills();
  const lastDrill = drills.records.at(-1) ?? null;
  const migrations = await repository.migrationRecords();
  alerts.push(...[...drills.problems, ...migrations.problems].map(damaged));
  const shipping = await shippingOf(request);
  alerts.push(...backupAlerts(newest), ...drillAlerts(lastDrill), ...shipping.alerts);
  return {
    app: repository.app,
    live,
    lastBackup: newest && summaryOf(newest),
    lastDrill,
    archive: shipping.archive,
    slots: shipping.slots,
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

async function shippingOf(request: {
  readonly repository: Repository;
  readonly engines: readonly Engine[];
  readonly live: EngineKind | null;
}): Promise<EngineStatus> {
  const { repository, engines, live } = request;
  if (live === null) return { archive: null, slots: [], alerts: [] };
  const folders = await repository.folders(live);
  return engineOf(engines, live).status(folders.at(-1) ?? null);
}

function backupAlerts(newest: Manifest | null): Finding[] {
  if (newest) return [];
  return [
    {
      id: "no-backup",
      severity: "error",
      summary: "there is no backup yet",
      remedy: "take one with lifeboat backup",
    },
  ];
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
