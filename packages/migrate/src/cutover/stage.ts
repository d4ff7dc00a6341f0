import { refusesWrites } from "../freeze.ts";
import type { LiveSource } from "../live-source.ts";
import type { JournalEntry } from "../target/journal.ts";

/**
 * How far an earlier run had come. `frozen`: SQLite refuses writes, and nobody was told to move; `switching`: the product may be in
 * Postgres; `switched`: it is there, and SQLite may have lost what it needs to take over again.
 */
export type Stage = "fresh" | "frozen" | "switching" | "switched" | "done";

/** To be asked when no other run can move the migration on. */
export function stageOf({ phase, details }: JournalEntry, source: LiveSource): Stage {
  if (phase === "cut-over") return "done";
  if (phase === "loaded" || !refusesWrites(source.db)) return "fresh";
  if (details.switching !== true) return "frozen";
  return details.switched === true ? "switched" : "switching";
}
