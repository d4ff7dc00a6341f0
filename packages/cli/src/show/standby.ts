import type { Finding } from "@lifeboat/core";
import { alsoFindings } from "./findings.ts";
import { facts } from "./table.ts";

export interface ShownStandby {
  readonly path: string;
  readonly slot: string | null;
  readonly primary: string;
  readonly startLsn: string;
  /** Where it listens. */
  readonly port: number;
  readonly streaming: boolean;
  readonly start: string | null;
  readonly findings: readonly Finding[];
}

/** Where the standby lies, what it follows, and what is left to do. */
export function showStandby(standby: ShownStandby): string {
  const lines = facts([
    ["standby", standby.path],
    ["of primary", `${standby.primary}, from ${standby.startLsn}`],
    ["listens on", `port ${standby.port}`],
    ["slot", standby.slot ?? "none: wal_keep_size of the primary has to suffice"],
    ...(standby.streaming ? [["state", "streams, and has caught up"] as const] : []),
    ...(standby.start === null ? [] : [["start it with", standby.start] as const]),
  ]);
  return `${lines}${alsoFindings(standby.findings)}`;
}
