/** The parts of the commands' JSON that the show looks at; the contract says what they mean. */

export interface BackupReport {
  readonly id: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly consistentAt: string;
  readonly sourceBytes: number;
  readonly storedBytes: number;
}

export interface RestoreReport {
  readonly backup: string;
  readonly path: string;
  readonly recoveredTo: string | null;
  readonly bytes: number;
  readonly seconds: number;
}

export interface DrillReport {
  readonly ok: boolean;
  readonly recoveredTo: string | null;
  readonly seconds: Readonly<Record<"fetch" | "restore" | "replay" | "checks" | "total", number>>;
  readonly checks: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly message: string;
  }[];
}

export interface StatusReport {
  readonly archive: {
    readonly ok: boolean;
    readonly lagBytes: number | null;
    readonly lastSegment: string | null;
  } | null;
}

export interface MigrationReport {
  readonly tables: readonly { readonly name: string; readonly rows: number }[];
  readonly findings: readonly { readonly severity: string; readonly summary: string }[];
}

export interface CutoverReport extends MigrationReport {
  readonly holdSeconds: number;
}
