import { facts } from "./table.ts";

export interface ShownStandby {
  readonly path: string;
  readonly slot: string | null;
  readonly primary: string;
  readonly startLsn: string;
  readonly streaming: boolean;
  readonly start: string | null;
}

/** Where the standby lies, what it follows, and what is left to do. */
export function showStandby(standby: ShownStandby): string {
  return facts([
    ["standby", standby.path],
    ["of primary", `${standby.primary}, from ${standby.startLsn}`],
    ["slot", standby.slot ?? "none: wal_keep_size of the primary has to suffice"],
    ...(standby.streaming ? [["state", "streams, and has caught up"] as const] : []),
    ...(standby.start === null ? [] : [["start it with", standby.start] as const]),
  ]);
}
