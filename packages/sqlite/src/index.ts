export { type Compacted, compactLog } from "./compact.ts";
export { CompactionState } from "./compaction-state.ts";
export { type SqliteEngineInit, sqliteEngine } from "./engine.ts";
export type { SnapshotLimits } from "./limits.ts";
