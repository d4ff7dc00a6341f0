import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { type JournalEntry, type MigrationPhase, newestEntry } from "../target/journal.ts";

/** Those in which one side follows the other. */
const FOLLOWING: readonly MigrationPhase[] = ["loaded", "cut-over"];

/**
 * The migration of a target whose sides can be compared.
 * @throws LifeboatError `NOT_LOADED` (not-found), naming the phase
 */
export async function comparedEntry(
  client: Client,
  schema: string | undefined,
): Promise<JournalEntry> {
  const entry = await newestEntry(client);
  const isHere = schema === undefined || entry?.plan.schema === schema;
  if (entry && isHere && FOLLOWING.includes(entry.phase)) return entry;
  const [message, remedy] = notCompared(entry, isHere);
  throw new LifeboatError({
    code: "NOT_LOADED",
    kind: "not-found",
    message,
    remedy,
    details: { phase: entry?.phase ?? null },
  });
}

function notCompared(
  entry: JournalEntry | null,
  isHere: boolean,
): [message: string, remedy: string] {
  const load = "run `lifeboat migrate load`";
  if (!entry) return ["nothing was loaded into the target yet", load];
  if (entry.phase === "loading") return ["the last load into the target did not finish", load];
  if (!isHere)
    return [
      `the load went into schema ${entry.plan.schema}`,
      "set migrate.schema to it, or leave it out",
    ];
  return [
    `the migration is in phase ${entry.phase}, in which both sides may differ`,
    "see lifeboat migrate status; both sides are compared from a load until the cutover, and after it until a rollback or the end",
  ];
}

export function movedOn(phase: string): LifeboatError {
  return new LifeboatError({
    code: "NOT_LOADED",
    kind: "not-found",
    message: `the migration went on to phase ${phase} while both sides were compared`,
    remedy: "see lifeboat migrate status, then run this again where a side follows the other",
    details: { phase },
  });
}
