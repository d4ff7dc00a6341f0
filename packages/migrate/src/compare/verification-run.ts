import type { Client } from "pg";
import type { Source } from "../source.ts";
import type { JournalEntry } from "../target/journal.ts";
import type { VerifyRequest } from "./verify-report.ts";

/** What one verification works with. */
export interface VerificationRun {
  readonly client: Client;
  /** Holding its snapshot. */
  readonly source: Source;
  readonly entry: JournalEntry;
  readonly request: VerifyRequest;
}
