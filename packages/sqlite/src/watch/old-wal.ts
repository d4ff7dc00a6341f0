import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { isBusy } from "../driver.ts";
import { locksOn } from "../examine/lock-list.ts";
import { fileAt } from "./file-at.ts";
import type { HeldAt } from "./holding.ts";
import { Hole } from "./hole.ts";
import type { LiveWal } from "./live-wal.ts";
import type { Relay } from "./relay.ts";

/** Of this process, each a link to what it has open (proc(5)). */
const DESCRIPTORS = "/proc/self/fd";

/** What became of the WAL of a file in whose place another one was put. */
export type OldWal = "none" | "removed" | "left";

/**
 * Takes away the WAL that a file which was replaced, or moved away, has left. SQLite knows a WAL by its name alone and lays it over whatever
 * file is there (sqlite.org/howtocorrupt.html, 1.4). Without us whoever closed the old file last would have copied the WAL back and
 * removed it; since we kept the file open, that is for us to do, before somebody opens the new one.
 *
 * Where no file is there and ours has no name any more it stays: that file may be on its way to another disk, and its WAL to be next.
 * @returns `left` where somebody has it open already, or may have, or where it cannot be copied back: then nothing was touched
 */
export function takeAwayOldWal({ path, identity }: HeldAt, relay: Relay, wal: LiveWal): OldWal {
  const found = fileAt(path);
  if (found === identity || !wal.isInPlace) return "none";
  if (found === undefined && !hasName(identity)) return "none";
  try {
    return relay.whileGated(() => {
      relay.letGo();
      const { busy, logged, checkpointed } = relay.checkpoint();
      if (busy || logged !== checkpointed || !isOursAlone(`${path}-shm`)) return "left";
      // Whoever opens the new file in this moment finds no WAL, and so does not ask for the index either.
      for (const companion of ["-wal", "-shm"]) rmSync(`${path}${companion}`);
      return "removed";
    });
  } catch (thrown) {
    if (isBusy(thrown)) return "left";
    throw thrown;
  }
}

/** Whether an open file of ours lies somewhere still. To ask opens nothing: closing it again would drop our locks. */
function hasName(identity: string | undefined): boolean {
  if (!existsSync(DESCRIPTORS)) return false;
  return readdirSync(DESCRIPTORS).some((descriptor) => {
    const open = join(DESCRIPTORS, descriptor);
    if (fileAt(open) !== identity) return false;
    return (statSync(open, { throwIfNoEntry: false })?.nlink ?? 0) > 0;
  });
}

/** Every connection to a WAL locks its index; ours among them, or it would be another index, or a system that lists no locks. */
function isOursAlone(index: string): boolean {
  const pids = new Set(locksOn(index).map(({ pid }) => pid));
  return pids.size === 1 && pids.has(process.pid);
}

/** A hole with what is to be done where another file was put in the database's place, and the old one's WAL is in use beside it. */
export function besideItsOldWal(hole: Hole, path: string, oldWal: OldWal): Hole {
  if (oldWal !== "left") return hole;
  return new Hole(
    `${hole.message}; ${path}-wal of the old file lay beside the new one, and SQLite lays it over that: run PRAGMA integrity_check, and stop the watch before a file is put in a database's place`,
  );
}
