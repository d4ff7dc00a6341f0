export { type BackupReport, type BackupRequest, backup } from "./backup.ts";
export { backupChain, byChain, chosenBackup } from "./backup-chain.ts";
export type { BackupSummary, Reused } from "./backup-summary.ts";
export { type Compression, DatabaseFolder, type StoredBeside } from "./database-folder.ts";
export { type DescribedStep, stepsOf } from "./described-step.ts";
export { type DrillReport, type DrillRequest, drill } from "./drill.ts";
export type { DrillRecord } from "./drill-record.ts";
export type { DrillCheck } from "./drill-run.ts";
export { type DrillStepId, drillSteps } from "./drill-steps.ts";
export type { Dump, DumpPiece, DumpSource } from "./dump-source.ts";
export * from "./engine.ts";
export * from "./engine-kind.ts";
export * from "./errors.ts";
export { type ExportReport, exportToFile, exportToRepository } from "./export.ts";
export { assertFileIsFree, readCompressedFile } from "./export-file.ts";
export {
  assertDumpFacts,
  type DumpFacts,
  EXPORT_ID,
  type ExportManifest,
  type ExportSummary,
} from "./export-manifest.ts";
export { findExport } from "./exports.ts";
export * from "./finding.ts";
export { SAFE_NAME } from "./json-shape.ts";
export { type BackupList, list } from "./list.ts";
export * from "./listing.ts";
export { type Lock, type LockHolder, letGoOf, lockHolder } from "./lock.ts";
export type { LogNote } from "./log-note.ts";
export { makeDirectories } from "./make-directories.ts";
export * from "./manifest.ts";
export { markFindings } from "./mark-findings.ts";
export {
  type MigrationRecord,
  migrationRecordId,
  type RecordedStep,
  recordedLive,
  recordedLiveAt,
} from "./migration-record.ts";
export { noSuchBackup } from "./not-to-be-had.ts";
export { isObjectDamage } from "./object-damage.ts";
export { ObjectRanges, RANGE_BYTES } from "./object-ranges.ts";
export { type Outage, OutageLog } from "./outage-log.ts";
export { ownProcessMark, processOfMarkIsGone, processOfMarkLives } from "./process-mark.ts";
export * from "./progress.ts";
export type { RangedRead } from "./ranged-read.ts";
export { type OpenRepository, Repository } from "./repository.ts";
export { RepositoryMemory } from "./repository-memory.ts";
export { type RestoredReport, type RestoreOrder, type RestoreReport, restore } from "./restore.ts";
export { RESTORE_GUIDE } from "./restore-guide.ts";
export { type RestoreStepId, restoreSteps } from "./restore-steps.ts";
export { makeScratch } from "./scratch.ts";
export { openSealedJson, sealedJson } from "./sealed-json.ts";
export { siblingModule } from "./sibling-module.ts";
export { type Status, shippingOf, status } from "./status.ts";
export * from "./storage.ts";
export { decompress } from "./stream/decompress.ts";
export type { Digest } from "./stream/digest.ts";
export { inOrder } from "./stream/in-order.ts";
export { release } from "./stream/release.ts";
export { syncDirectory } from "./sync-directory.ts";
export type { Leftover } from "./unfinished-backup.ts";
export { type VerifyReport, verify } from "./verify.ts";
export { VERSION } from "./version.ts";
export { type WatchOrder, type WatchReport, watch, watchLockName } from "./watch.ts";
export { WatchNotes, watchName } from "./watch-notes.ts";
export * from "./window.ts";
export { WriteBack } from "./write-back.ts";
