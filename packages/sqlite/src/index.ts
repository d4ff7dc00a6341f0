export { type SqliteEngineInit, sqliteEngine } from "./engine.ts";
export type { SnapshotLimits } from "./limits.ts";
