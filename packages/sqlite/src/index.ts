export { type Compacted, compactLog } from "./compact/compact.ts";
export { CompactionState } from "./compact/compaction-state.ts";
export { type SqliteEngineInit, sqliteEngine } from "./engine.ts";
export type { SnapshotLimits } from "./limits.ts";
