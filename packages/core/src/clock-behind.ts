import type { DatabaseFolder } from "./database-folder.ts";
import type { Finding } from "./finding.ts";
import { foldersBelow } from "./listing.ts";
import type { RecoveryWindow } from "./window.ts";

/** So far the clocks of two machines may differ, and nobody needs to do anything. */
const TOLERANCE_MS = 60_000;

/**
 * What is newest is told by instants. A backup that is taken once a clock was set back bears an earlier one than
 * those before it.
 */
export async function backupBehind(folder: DatabaseFolder, id: string): Promise<Finding[]> {
  const ids = await foldersBelow(folder.storage, `${folder.path}/backups/`);
  const later = ids.findLast((each) => instantIn(each) > instantIn(id));
  if (later === undefined) return [];
  return [
    finding(
      `this backup, ${id}, bears an earlier instant than ${later}, which is older: the clock was set back in between`,
      `until a backup or a commit bears a later one than that, name what you restore: --backup ${id}, or --at`,
    ),
  ];
}

/** Windows that end in what is still to come. */
export function windowsAhead(windows: readonly RecoveryWindow[]): Finding[] {
  const latest = windows
    .map(({ to }) => to ?? "")
    .toSorted()
    .at(-1);
  if (latest === undefined || !isAhead(latest)) return [];
  return [
    finding(
      `the repository holds instants up to ${latest}, ahead of this machine's clock: it was set back, or is wrong`,
      "see to the clock; until it has passed that instant, what is restored as the latest state may not be: name it by --backup or --at (lifeboat list)",
    ),
  ];
}

/** A latest state of an instant that is still to come. */
export function latestAhead(time: string | null): Finding[] {
  if (time === null || !isAhead(time)) return [];
  return [
    finding(
      `the copy is of ${time}, ahead of this machine's clock: a clock was set back, or is wrong`,
      "compare with lifeboat list whether something newer bears an earlier instant; it is restored by --backup or --at",
    ),
  ];
}

function isAhead(instant: string): boolean {
  return Date.parse(instant) > Date.now() + TOLERANCE_MS;
}

/** Ids begin with the instant at which they were given. */
function instantIn(id: string): string {
  return id.slice(0, "20261122T101500.123Z".length);
}

function finding(summary: string, remedy: string): Finding {
  return { id: "clock-set-back", severity: "warning", summary, remedy };
}
