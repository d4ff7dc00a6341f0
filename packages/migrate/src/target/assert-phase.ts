import { LifeboatError } from "@lifeboat/core";
import type { JournalEntry, MigrationPhase } from "./journal.ts";

/** Why a verb has nothing to do where a migration stands. */
export interface WrongPhase {
  readonly code: string;
  /** What follows "the migration is PHASE: ". */
  readonly there: string;
  /** The whole message where the target knows of no migration, or of another schema's. */
  readonly none: string;
  readonly remedy: string;
}

/**
 * The target's migration where a verb may begin with it.
 * @param schema the configured one; another's migration is none
 * @throws LifeboatError with the code of `wrong` (not-found)
 */
export function assertPhase(
  entry: JournalEntry | null,
  schema: string | undefined,
  phases: readonly MigrationPhase[],
  wrong: WrongPhase,
): JournalEntry {
  const isOwn = entry !== null && (schema === undefined || entry.plan.schema === schema);
  if (isOwn && phases.includes(entry.phase)) return entry;
  const { code, there, none, remedy } = wrong;
  throw new LifeboatError({
    code,
    kind: "not-found",
    message: isOwn ? `the migration is ${entry.phase}: ${there}` : none,
    remedy,
  });
}
