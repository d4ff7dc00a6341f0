export type { DeclaredColumn, DeclaredSchemas, DeclaredTable } from "./declared.ts";
export * from "./drift.ts";
export type { Choice, Choices, MigrationFinding } from "./finding.ts";
export { readPostgresTables, readSqliteTables } from "./live-tables.ts";
export { type LoadReport, type LoadRequest, loadMigration } from "./load.ts";
export { type PlanRequest, planMigration } from "./make-plan.ts";
export * from "./plan.ts";
export type { MigrationRequest, TargetAddress } from "./request.ts";
export { type VerifyReport, type VerifyRequest, verifyMigration } from "./verify.ts";
