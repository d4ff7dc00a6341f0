import type { TableComparison } from "../compare.ts";
import type { MigrationFinding } from "../finding.ts";
import type { MigrationRequest, TargetAddress } from "../request.ts";
import type { Patience } from "./settle.ts";

export interface VerifyRequest extends MigrationRequest {
  readonly postgres: TargetAddress;
  /** How long rows in flight are waited for; 30 s, and 5 s without a change, when left out. */
  readonly patience?: Patience;
}

/** Which side follows the other: Postgres SQLite until the cutover, and from then on SQLite Postgres. */
export type Direction = "sqlite-to-postgres" | "postgres-to-sqlite";

export interface VerifyReport {
  readonly phase: "verify";
  readonly direction: Direction;
  /** Every value equal but for rows in flight, every constraint, index and sequence in place. */
  readonly ok: boolean;
  readonly schema: string;
  readonly tables: readonly TableComparison[];
  readonly findings: readonly MigrationFinding[];
  readonly rows: number;
  /** Rows that the product had just written and that the other side did not get meanwhile. */
  readonly inFlight: number;
  /** What the journal says from now on, and a cutover finds there; null where the sides differ or the journal takes no writes. */
  readonly verifiedAt: string | null;
  readonly seconds: number;
}
