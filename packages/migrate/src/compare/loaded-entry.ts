import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { type JournalEntry, newestEntry } from "../target/journal.ts";

/**
 * The migration of a target whose load has finished, and that has not gone on since.
 * @throws LifeboatError `NOT_LOADED` (not-found), naming the phase
 */
export async function loadedEntry(
  client: Client,
  schema: string | undefined,
): Promise<JournalEntry> {
  const entry = await newestEntry(client);
  if (entry?.phase === "loaded" && (schema === undefined || entry.plan.schema === schema))
    return entry;
  const [message, remedy] = notLoaded(entry);
  throw new LifeboatError({
    code: "NOT_LOADED",
    kind: "not-found",
    message,
    remedy,
    details: { phase: entry?.phase ?? null },
  });
}

function notLoaded(entry: JournalEntry | null): [message: string, remedy: string] {
  const load = "run `lifeboat migrate load`";
  if (!entry) return ["nothing was loaded into the target yet", load];
  if (entry.phase === "loading") return ["the last load into the target did not finish", load];
  if (entry.phase === "loaded")
    return [
      `the load went into schema ${entry.plan.schema}`,
      "set migrate.schema to it, or leave it out",
    ];
  return [
    `the migration is in phase ${entry.phase}, in which both sides may differ`,
    "verify compares from a load until the cutover",
  ];
}

export function movedOn(phase: string): LifeboatError {
  return new LifeboatError({
    code: "NOT_LOADED",
    kind: "not-found",
    message: `the migration went on to phase ${phase} while both sides were compared`,
    remedy: "see lifeboat migrate status; both sides are compared while the phase is loaded",
    details: { phase },
  });
}
