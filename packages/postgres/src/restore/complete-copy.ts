import { availableParallelism } from "node:os";
import type { Finding, Manifest, RestoreRequest } from "@lifeboat/core";
import type { PostgresDetails } from "../details.ts";
import type { Account } from "../files/account.ts";
import { syncDirectories } from "../files/durable.ts";
import type { Through } from "../unpack/progress.ts";
import { layConsistencyWal } from "../wal/consistency-wal.ts";
import { damageFindings } from "./damage.ts";
import { layExtraPaths } from "./extra-paths.ts";
import { newerTimelines, restoreFindings } from "./findings.ts";
import { laySettings, storedSettings } from "./lay-settings.ts";
import { configureRecovery } from "./recovery-files.ts";

/** Nothing is disturbed by a restore: all cores, within reason. */
export const USUAL_JOBS = Math.min(4, availableParallelism());

/** The files of a base backup, as they came. */
export interface UnpackedCopy {
  /** The backup whose state it holds. */
  readonly manifest: Manifest;
  readonly details: PostgresDetails;
  readonly account: Account;
  /** Of files: 0600, or 0640 where the group may read the cluster. */
  readonly mode: number;
  readonly through: Through;
  /** Where it lies now. */
  readonly directory: string;
  /** What it will be called. */
  readonly dataDirectory: string;
  /** The folder of the server's programs; found when left out. */
  readonly binDirectory: string | undefined;
}

/** Lays what an unpacked backup needs to start and to recover: WAL, settings, how it recovers. Durable when this resolves. */
export async function completeCopy(
  { folder, plan, fetchCommand, jobs = USUAL_JOBS, signal }: RestoreRequest,
  {
    manifest,
    details,
    account,
    mode,
    through,
    directory,
    dataDirectory,
    binDirectory,
  }: UnpackedCopy,
): Promise<Finding[]> {
  await layConsistencyWal({ folder, details, directory, account, mode, through });
  const laid = { details, directory, dataDirectory, account, mode };
  const rewritten = await laySettings({
    ...laid,
    read: (detail) => storedSettings({ folder, manifest }, detail),
  });
  const content = { folder, manifest, details, account, through, jobs, signal };
  const extra = await layExtraPaths(content, directory, dataDirectory);
  const recovery = { timeline: details.timeline, fetchCommand };
  await configureRecovery(directory, plan, recovery, { account, mode });
  // Of a backup's own state there is no choice of timelines.
  const chosen = plan.target.kind !== "backup" && plan.target.kind !== "immediate";
  const timelines = chosen ? await newerTimelines(folder, plan.timeline ?? details.timeline) : [];
  const own = await restoreFindings(directory, dataDirectory, binDirectory);
  const findings = [...timelines, ...own];
  await syncDirectories([directory]);
  return [...damageFindings(details.damage), ...rewritten, ...extra, ...findings];
}

/** What the backups hold, unpacked. */
export function bytesOf(backups: readonly Manifest[]): number {
  return backups.reduce(
    (sum, { objects }) => objects.reduce((all, { content }) => all + content.bytes, sum),
    0,
  );
}
