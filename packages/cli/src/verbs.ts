import { backupVerb } from "./verb/backup.ts";
import { doctorVerb } from "./verb/doctor.ts";
import { drillVerb } from "./verb/drill.ts";
import { exportVerb } from "./verb/export.ts";
import { importVerb } from "./verb/import.ts";
import { listVerb } from "./verb/list.ts";
import { migrateAbortVerb } from "./verb/migrate-abort.ts";
import { migrateCutoverVerb } from "./verb/migrate-cutover.ts";
import { migrateFinishVerb } from "./verb/migrate-finish.ts";
import { migrateLoadVerb } from "./verb/migrate-load.ts";
import { migratePlanVerb } from "./verb/migrate-plan.ts";
import { migrateReleaseVerb } from "./verb/migrate-release.ts";
import { migrateRollbackVerb } from "./verb/migrate-rollback.ts";
import { migrateStatusVerb } from "./verb/migrate-status.ts";
import { migrateSyncVerb } from "./verb/migrate-sync.ts";
import { migrateVerifyVerb } from "./verb/migrate-verify.ts";
import { restoreVerb } from "./verb/restore.ts";
import { runbookVerb } from "./verb/runbook.ts";
import { slotsVerb } from "./verb/slots.ts";
import { standbyVerb } from "./verb/standby.ts";
import { statusVerb } from "./verb/status.ts";
import { verifyVerb } from "./verb/verify.ts";
import { walFetchVerb } from "./verb/wal-fetch.ts";
import { walPushVerb } from "./verb/wal-push.ts";
import { walReceiveVerb } from "./verb/wal-receive.ts";
import { watchVerb } from "./verb/watch.ts";
import type { Verb } from "./verb.ts";

/** Every verb that is built, in the order of the help. */
export const VERBS: readonly Verb[] = [
  backupVerb,
  listVerb,
  restoreVerb,
  verifyVerb,
  drillVerb,
  doctorVerb,
  statusVerb,
  slotsVerb,
  standbyVerb,
  exportVerb,
  importVerb,
  watchVerb,
  walPushVerb,
  walFetchVerb,
  walReceiveVerb,
  migratePlanVerb,
  migrateLoadVerb,
  migrateSyncVerb,
  migrateVerifyVerb,
  migrateCutoverVerb,
  migrateRollbackVerb,
  migrateFinishVerb,
  migrateAbortVerb,
  migrateReleaseVerb,
  migrateStatusVerb,
  runbookVerb,
];
