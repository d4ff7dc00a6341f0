import { refusalOf } from "../freeze.ts";
import type { LiveSource } from "../live-source.ts";
import type { JournalEntry } from "../target/journal.ts";

/**
 * How far an earlier run had come. `switching`: the product may be in Postgres; `switched`: it is there, and SQLite may have lost what it needs
 * to take over again; `done`: nothing is left to do.
 */
export type Stage = "fresh" | "switching" | "switched" | "done";

/** To be asked when no other run can move the migration on. */
export function stageOf({ phase, details }: JournalEntry, source: LiveSource): Stage {
  if (phase === "cut-over") return "done";
  if (phase === "loaded" || !isPast(details, source)) return "fresh";
  return details.switched === true ? "switched" : "switching";
}

/** Whether an earlier run froze SQLite and was killed before anybody was told to move. */
export function isLeftFrozen({ phase, details }: JournalEntry, source: LiveSource): boolean {
  return phase === "cutting-over" && refusalOf(source.db) !== null && !isPast(details, source);
}

/** The switch is called only once the journal says so and SQLite refuses writes for good, which comes last. */
function isPast(details: JournalEntry["details"], source: LiveSource): boolean {
  return details.switching === true && refusalOf(source.db)?.until === null;
}
