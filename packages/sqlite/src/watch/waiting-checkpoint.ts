import { locksOn } from "../examine/lock-list.ts";
import type { ScanPoint } from "../wal/frame-scanner.ts";

/** Bytes of the `-shm` file that SQLite locks (sqlite.org/walformat.html, 2.3.1). */
const WRITE_LOCK = 120;
const CHECKPOINT_LOCK = 121;

/** After so many looks without a commit only one in {@link RARELY} is taken. */
const OFTEN = 10;
const RARELY = 5;

/** Looks for checkpoints of other processes that keep writers out while they wait for our readers. */
export class ForeignCheckpoints {
  readonly #path: string;
  #seen: ScanPoint | undefined;
  #quietLooks = 0;

  /** @param path of the database */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Whether one waits now. The list of locks is asked for only where there was no commit since the last look, since such a
   * checkpoint lets none through: the kernel makes it while everybody who locks a file stands still, the app's
   * writers among them. Where nothing is written for a while it is asked for less often.
   * @param committed as far as the WAL was read
   */
  oneWaits(committed: ScanPoint): boolean {
    const writersGoOn = committed !== this.#seen;
    this.#seen = committed;
    this.#quietLooks = writersGoOn ? 0 : this.#quietLooks + 1;
    if (writersGoOn || (this.#quietLooks > OFTEN && this.#quietLooks % RARELY > 0)) return false;
    return checkpointIsWaiting(this.#path);
  }
}

/**
 * Whether another process is in a checkpoint that keeps writers out: FULL, RESTART and TRUNCATE hold the
 * write lock while they wait for readers, such as ours, for as long as their busy timeout. Told by the
 * kernel's list of locks; where there is none (other systems than Linux), nothing is told.
 */
function checkpointIsWaiting(path: string): boolean {
  const writers = locksOn(`${path}-shm`).filter(
    ({ mode, pid }) => mode === "WRITE" && pid !== process.pid,
  );
  const holders = (byte: number) =>
    writers.filter(({ first, last }) => first <= byte && byte <= last).map(({ pid }) => pid);
  const checkpointers = holders(CHECKPOINT_LOCK);
  return holders(WRITE_LOCK).some((pid) => checkpointers.includes(pid));
}
