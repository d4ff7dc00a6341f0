import { isBusy } from "../driver.ts";
import type { HeldFile } from "../held.ts";
import type { WalHeader } from "../wal/header.ts";
import type { LogPlace } from "../wal/place.ts";
import { GateTimes } from "./gate-times.ts";
import { Hole } from "./hole.ts";
import type { WatchLimits } from "./limits.ts";
import { LiveWal, type NewFrames } from "./live-wal.ts";
import { Relay } from "./relay.ts";
import { checkpointIsWaiting } from "./waiting-checkpoint.ts";

/** What a complete checkpoint left: all that is committed lies in the database file. */
export interface CopiedBack {
  readonly at: Date;
  readonly place: LogPlace;
  readonly gateMs: number;
}

export interface HolderInit {
  readonly path: string;
  readonly pageSize: number;
  /** Whether a checkpoint may run while writers write; see `hasWalResetFix`. */
  readonly checkpointFreely: boolean;
  readonly limits: WatchLimits;
  /** Is given all frames that are found, in order, with the instant by which they had been committed. */
  found(frames: NewFrames, instant: number): void;
  /** The count of transactions in the WAL's index; undefined where there is none. */
  transactions(): Promise<number | undefined>;
  /** Whether the WAL may be begun anew once it is copied back: nothing lies in it alone. */
  mayBeginAnew(): boolean;
}

/**
 * Holds the WAL of a live database so that no frame is overwritten before it was read, and copies it
 * back in the app's place, which its own checkpoints cannot while we hold.
 */
export class WalHolder {
  readonly wal: LiveWal;
  readonly gates: GateTimes = new GateTimes();
  readonly #init: HolderInit;
  readonly #relay: Relay;
  /** The WAL is copied back and read to its end: the next writer begins it anew, once. */
  #mayRestart = false;
  #copiedBytes = 0;
  #lastInstant = 0;
  #makeWayAt = 0;

  /** Holds nothing yet. @throws SqliteError busy, when somebody holds the database exclusively */
  constructor(init: HolderInit) {
    this.#init = init;
    this.wal = new LiveWal(init.path, init.pageSize);
    this.#relay = new Relay(init.path);
  }

  /** Bytes of committed frames that are not known to be copied back. */
  get backlogBytes(): number {
    return Math.max(0, this.wal.committedBytes - this.#copiedBytes);
  }

  /**
   * Takes hold of the WAL behind the gate, so that what is read and what is held are the same.
   * @param from where reading goes on, and the instant that was reached there; left out: at the WAL's start
   * @returns false when the WAL does not prove that all since that place is still to be read; it is held all
   *   the same
   * @throws SqliteError busy when a writer was at work for longer than one try takes
   */
  takeHold(from?: { readonly place: LogPlace; readonly instant: number }): boolean {
    return this.#relay.whileGated(() => {
      this.#relay.takeHold();
      const header = this.wal.header();
      const proven = header && from ? this.#goOn(header, from) : from === undefined;
      if (header && !(from && proven)) this.wal.begin(header);
      const { logged, checkpointed } = this.#relay.progress();
      this.#mayRestart = logged === checkpointed;
      // All that is copied back may be overwritten from now on: what is to be shipped of it is in memory, or lost.
      return proven && (!this.#mayRestart || this.#init.mayBeginAnew());
    });
  }

  /**
   * Looks for new commits.
   * @throws Hole when the WAL was begun anew although it was held
   */
  poll(): void {
    const header = this.wal.header();
    // None yet; or one that is being written, and then there is nothing to read either.
    if (!header) return;
    if (this.wal.isOther(header)) {
      if (this.wal.run && !this.#mayRestart)
        throw new Hole("the WAL was begun anew although it was held");
      this.wal.begin(header);
      this.#mayRestart = false;
      this.#copiedBytes = 0;
    }
    const frames = this.wal.advance();
    if (!frames) return;
    this.#lastInstant = Math.max(this.#lastInstant, Date.now());
    this.#init.found(frames, this.#lastInstant);
  }

  /**
   * Copies the WAL back: the bulk while writers write, the rest behind the gate.
   * @returns undefined when it could not be completed: an old reader, a writer at work, one more round needed
   */
  copyBack(): CopiedBack | undefined {
    if (!this.#init.mayBeginAnew()) return undefined;
    this.#relay.pass();
    if (this.#init.checkpointFreely) this.#relay.checkpoint();
    this.poll();
    try {
      let shutAt = 0;
      const copied = this.#relay.whileGated(() => {
        shutAt = performance.now();
        return this.#copyRest();
      });
      const gateMs = performance.now() - shutAt;
      this.gates.add(gateMs);
      return copied && { ...copied, gateMs };
    } catch (thrown) {
      if (isBusy(thrown)) return undefined;
      throw thrown;
    }
  }

  /**
   * Makes way for a checkpoint of the app that waits for us and keeps its writers out meanwhile. It
   * holds the write lock, so all that is committed stays as it is until it is done. What happened before
   * we hold again is told by the index's count of transactions, or by the run that goes on.
   * @throws Hole when transactions were made whose frames may be gone
   */
  async makeWay(): Promise<void> {
    const { path, limits, transactions } = this.#init;
    if (Date.now() < this.#makeWayAt || !checkpointIsWaiting(path)) return;
    const before = await transactions();
    this.poll();
    // It may have given up meanwhile, and then a writer may be at work.
    if (!checkpointIsWaiting(path) || !this.#init.mayBeginAnew()) return;
    this.#makeWayAt = Date.now() + limits.makeWayEveryMs;
    this.#relay.letGo();
    try {
      const until = Date.now() + limits.makeWayMs;
      // It looks for us again after pauses of up to 100 ms.
      while (checkpointIsWaiting(path) && Date.now() < until) await waitForNext();
    } finally {
      this.#relay.takeHold();
    }
    if (before !== undefined && (await transactions()) === before) this.#mayRestart = true;
    else this.#noteWhetherComplete();
    this.poll();
    this.#noteWhetherComplete();
  }

  /** Where all is read and copied back, the next writer may begin the WAL anew. */
  #noteWhetherComplete(): void {
    const { logged, checkpointed } = this.#relay.progress();
    if (logged === checkpointed && this.wal.committed.frames === logged) this.#mayRestart = true;
  }

  /** The file as it stands after {@link copyBack}: held for as long as that is not called again. */
  heldFile({ at, place, gateMs }: CopiedBack, release: () => void): HeldFile {
    let held = true;
    return {
      way: "pin",
      consistentAt: at,
      place,
      facts: this.#relay.facts(),
      release() {
        if (held) release();
        held = false;
        return gateMs;
      },
    };
  }

  /** Lets go. May be called twice. */
  close(): void {
    this.#relay.close();
    this.wal.close();
  }

  #goOn(header: WalHeader, from: { readonly place: LogPlace; readonly instant: number }): boolean {
    const { place, instant } = from;
    if (!this.wal.holds(header, place)) return false;
    const { frames, checksum1, checksum2 } = place;
    this.wal.begin(header, { frames, checksum: [checksum1, checksum2], pages: 0 });
    this.#lastInstant = instant;
    this.poll();
    return true;
  }

  /** Nobody writes meanwhile, so nothing needs to be held while the reader changes its place. */
  #copyRest(): Omit<CopiedBack, "gateMs"> | undefined {
    const behind = this.#relay.progress().logged - this.wal.committed.frames;
    if (behind * this.#init.pageSize > this.#init.limits.residueBytes) return undefined;
    this.poll();
    if (!this.#init.mayBeginAnew()) return undefined;
    this.#relay.letGo();
    try {
      if (!this.#isCopied()) return undefined;
      this.#mayRestart = true;
      this.#copiedBytes = this.wal.committedBytes;
      return { at: new Date(), place: this.wal.place };
    } finally {
      this.#relay.takeHold();
    }
  }

  /** One of the app's own checkpoints may be under way; behind the gate no further one can begin with more. */
  #isCopied(): boolean {
    const until = performance.now() + this.#init.limits.gateMs;
    for (;;) {
      const { busy, logged, checkpointed } = this.#relay.checkpoint();
      if (!busy && logged === checkpointed) return true;
      // An old reader is nothing to wait for where writers wait.
      if (!busy || performance.now() > until) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function waitForNext(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
