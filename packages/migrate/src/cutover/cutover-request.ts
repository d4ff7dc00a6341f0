import type { EngineKind } from "@lifeboat/core";
import type { MigrationFinding } from "../finding.ts";
import type { SyncedTable } from "../forward/sync-tally.ts";
import type { MigrationRequest, TargetAddress } from "../request.ts";
import type { Gate, GateFinding, GateName } from "./gates.ts";

export interface CutoverRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /** Seconds in which the product must be in Postgres after SQLite refuses its writes; else SQLite takes them again. */
  readonly budgetSeconds?: number;
  /** Gates that need not be met. */
  readonly skip?: readonly GateName[];
  /** The gates that the caller looks at; one that is left out counts as met by nobody's looking, and is not shown. */
  readonly gates?: Partial<
    Record<"archive" | "drill" | "disk" | "rights" | "backup", () => Promise<GateFinding>>
  >;
  /** Takes a backup of one side; left out where the caller has taken them. */
  readonly backup?: (engine: EngineKind, signal: AbortSignal) => Promise<string>;
  /** The product's own switch to Postgres. */
  readonly onCutover?: (signal: AbortSignal) => Promise<void>;
}

export interface CutoverReport {
  readonly phase: "cutover";
  readonly id: string;
  readonly tables: readonly SyncedTable[];
  readonly findings: readonly MigrationFinding[];
  readonly gates: readonly Gate[];
  /** Ids of the backups that were taken before. */
  readonly backups: readonly string[];
  /** Rows that were written or removed in Postgres. */
  readonly rows: number;
  /** From having SQLite's write lock to the commit of the refusals; 0 where an earlier run had frozen it. */
  readonly holdSeconds: number;
  /** The instant at which Postgres began to take the product's writes and SQLite took none any more; ISO 8601 UTC. */
  readonly movedAt: string;
  /** From there until the product's switch returned. */
  readonly switchSeconds: number;
  readonly seconds: number;
}
