import { LifeboatError, reasonOf } from "@lifeboat/core";
import type { Client } from "pg";
import { type JournalEntry, newestEntry, noteVerified } from "../target/journal.ts";
import { targetError } from "../target/target-error.ts";
import { movedOn } from "./compared-entry.ts";
import type { TableComparisons } from "./table-comparisons.ts";
import { notRecorded } from "./verify-findings.ts";
import type { Direction, VerifyReport } from "./verify-report.ts";

/** One verification, when all is compared. */
export interface Concluded {
  readonly client: Client;
  readonly entry: JournalEntry;
  readonly comparisons: TableComparisons;
  readonly direction: Direction;
  /** As of `performance.now()`. */
  readonly started: number;
}

/**
 * What was found, noted in the journal.
 * @throws LifeboatError `NOT_LOADED` (not-found) where the migration has gone on
 */
export async function conclude({
  client,
  entry,
  comparisons,
  direction,
  started,
}: Concluded): Promise<VerifyReport> {
  const { findings } = comparisons;
  const tables = comparisons.tables();
  const hasErrors = () => findings.some((one) => one.severity === "error");
  const verifiedAt = hasErrors() ? null : new Date().toISOString();
  const unnoted = await noteResult(client, entry, verifiedAt);
  if (unnoted !== null) findings.push(notRecorded(unnoted));
  return {
    phase: "verify",
    direction,
    ok: !hasErrors(),
    schema: entry.plan.schema,
    tables,
    findings,
    rows: tables.reduce((sum, table) => sum + table.rows, 0),
    inFlight: tables.reduce((sum, table) => sum + table.inFlight, 0),
    verifiedAt: unnoted === null ? verifiedAt : null,
    seconds: (performance.now() - started) / 1000,
  };
}

/**
 * A role that may compare but not write is told so: a cutover would not see what was found.
 * @returns why it could not be noted; null where it was
 */
async function noteResult(
  client: Client,
  entry: JournalEntry,
  verifiedAt: string | null,
): Promise<string | null> {
  try {
    if (await noteVerified(client, entry, verifiedAt)) return null;
  } catch (cause) {
    const named = targetError(cause);
    if (!(named instanceof LifeboatError) || named.code === "POSTGRES_LOST") throw cause;
    return reasonOf(cause);
  }
  throw movedOn((await newestEntry(client))?.phase ?? "gone");
}
