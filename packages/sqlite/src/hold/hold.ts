import { LifeboatError } from "@lifeboat/core";
import type { Examined } from "../examine/examine.ts";
import type { SnapshotLimits } from "../limits.ts";
import type { ShippedDatabase } from "../watch/shipped-database.ts";
import type { HeldFile } from "./held.ts";
import { backupOnline } from "./online-backup.ts";
import { hasWalResetFix, pin } from "./pin.ts";
import { holdByReading } from "./shared-lock.ts";
import { WalConnections } from "./wal-connections.ts";

export interface HoldRequest {
  readonly examined: Examined;
  /** Where the backup API may copy to when the file cannot be held; undefined: there is no room. */
  readonly copyTo: string | undefined;
  /** Who ships its log, in this process or in another. */
  readonly shipped: ShippedDatabase | undefined;
  readonly limits: SnapshotLimits;
  readonly signal: AbortSignal;
}

/**
 * Holds a database's file still in the way that costs its writers least, or, where an old reader
 * makes that impossible, has already copied it to `copyTo` (way `backup-api`).
 * @throws LifeboatError `NO_SPACE` when it would have to copy and cannot; SqliteError
 */
export async function hold(request: HoldRequest): Promise<HeldFile> {
  const { examined, limits, signal } = request;
  const held = examined.header.wal
    ? await holdWal(request)
    : await holdByReading(examined.path, { patienceMs: limits.lockPatienceMs, signal });
  if ((held.facts.journalMode === "wal") === examined.header.wal) return held;
  held.release();
  throw new LifeboatError({
    code: "DATABASE_CHANGED",
    message: `${examined.path} changed its journal mode to ${held.facts.journalMode} at this moment`,
    remedy: "run the backup again",
    details: { path: examined.path },
  });
}

async function holdWal(request: HoldRequest): Promise<HeldFile> {
  const { examined, limits, signal, copyTo, shipped } = request;
  const patience = { patienceMs: limits.pinPatienceMs, signal };
  const held = await shipped?.hold(patience);
  if (held) return held;
  const connections = await WalConnections.open(examined.path, limits.lockPatienceMs, signal);
  try {
    const { pageSize, sqliteVersion } = examined.header;
    const checkpointFreely = hasWalResetFix(sqliteVersion);
    const pinned =
      shipped && !shipped.isGone
        ? undefined
        : await pin(connections, { pageSize, checkpointFreely, ...patience });
    if (pinned) return pinned;
    if (copyTo === undefined) throw noRoom(examined);
    return await backupOnline(connections, copyTo, { signal });
  } catch (thrown) {
    connections.close();
    throw thrown;
  }
}

function noRoom({ path, stat }: Examined): LifeboatError {
  return new LifeboatError({
    code: "NO_SPACE",
    message: `an old reader, or a full disk, keeps ${path} from being held still, and there is no room for a copy of ${stat.size} bytes`,
    remedy:
      "end the reader that has its transaction open (lifeboat doctor names both); beside a lifeboat watch back up as its account; or make room beside the database or in the temporary folder",
    details: { path, bytes: stat.size },
  });
}
