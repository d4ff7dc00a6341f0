import { pause } from "../driver.ts";
import type { LogPlace } from "../wal/place.ts";
import { placeNow } from "../wal/place-now.ts";
import { factsOf, type HeldFile } from "./held.ts";
import type { WalProgress } from "./wal-checkpoint.ts";
import type { WalConnections } from "./wal-connections.ts";

/**
 * What may be left for the checkpoint behind the gate, where writers wait. Each try that met more
 * raises the bound by as much again, up to the most, which holds at once where nothing may be
 * checkpointed before the gate.
 */
const RESIDUE_BYTES = 1 << 20;
const MOST_RESIDUE_BYTES = 8 << 20;

export interface PinOptions {
  readonly pageSize: number;
  /** Whether a checkpoint may run while writers write; see {@link hasWalResetFix}. */
  readonly checkpointFreely: boolean;
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/**
 * Holds the main file of a WAL-mode database still, with everything that is committed in it: copies
 * the WAL back into it, shuts the gate for some milliseconds, copies the rest, and opens a read
 * transaction before the gate is opened again. As the whole WAL was copied back, that reader is one on
 * read lock 0 (sqlite.org/walformat.html, 2.2), and while it is there no checkpoint writes to the
 * file. Writers go on into the WAL.
 *
 * @returns undefined when an old reader, a long transaction or a checkpoint of somebody else kept it
 *   out for the whole patience
 */
export async function pin(
  connections: WalConnections,
  options: PinOptions,
): Promise<HeldFile | undefined> {
  const { signal, checkpointFreely } = options;
  const until = performance.now() + options.patienceMs;
  let residue = checkpointFreely ? RESIDUE_BYTES : MOST_RESIDUE_BYTES;
  let longestGate = 0;
  do {
    signal.throwIfAborted();
    if (checkpointFreely) connections.checkpoint();
    let shutAt = 0;
    let pinnedAt: Date | undefined;
    let place: LogPlace | null = null;
    const entered = connections.whileGated(() => {
      shutAt = performance.now();
      if (backlog(connections.progress()) * options.pageSize > residue) return;
      const progress = connections.checkpoint();
      if (!isComplete(progress)) return;
      connections.beginRead();
      pinnedAt = new Date();
      place = placeNow(connections.path, progress.logged, options.pageSize);
    });
    if (entered) longestGate = Math.max(longestGate, performance.now() - shutAt);
    if (pinnedAt)
      return heldBy(connections, { consistentAt: pinnedAt, place, gateMs: longestGate });
    residue = Math.min(residue + RESIDUE_BYTES, MOST_RESIDUE_BYTES);
    await pause();
  } while (performance.now() < until);
  return undefined;
}

/**
 * Whether that version of SQLite cannot lose commits to a checkpoint that runs while another
 * connection resets the WAL: fixed in 3.51.3, and in 3.44.6 and 3.50.7 (sqlite.org/wal.html, "The
 * WAL-Reset Bug"). Beside an app with an older one we checkpoint only behind the gate, where nobody
 * can reset it, so that our being there never raises its risk.
 * @param version as in a database's header: 3040001
 */
export function hasWalResetFix(version: number): boolean {
  return (
    version >= 3051003 ||
    (version >= 3050007 && version < 3051000) ||
    (version >= 3044006 && version < 3045000)
  );
}

function heldBy(
  connections: WalConnections,
  pinned: { readonly consistentAt: Date; readonly place: LogPlace | null; readonly gateMs: number },
): HeldFile {
  const { consistentAt, place, gateMs } = pinned;
  return {
    way: "pin",
    consistentAt,
    place,
    facts: factsOf(connections.reader),
    release() {
      connections.close();
      return gateMs;
    },
  };
}

function backlog(progress: WalProgress): number {
  return Math.max(0, progress.logged - progress.checkpointed);
}

function isComplete(progress: WalProgress): boolean {
  return !progress.busy && progress.logged === progress.checkpointed;
}
