import type { JournalEntry } from "./journal.ts";

/**
 * When the migration's newest move began, in one direction or the other: no write was acknowledged by both sides around it. Noted in the
 * journal before either side is told, so that a run that ends a killed one's work tells the instant of that one.
 */
export function movedAtOf({ details }: JournalEntry): string {
  const { movedAt, cutOverAt } = details;
  // A version that did not note it has left the end of the cutover.
  const known = [movedAt, cutOverAt].find((instant) => typeof instant === "string");
  return typeof known === "string" ? known : new Date().toISOString();
}
