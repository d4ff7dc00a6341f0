import { isBusy } from "../driver.ts";
import type { HeldFile } from "../hold/held.ts";
import { fileAt } from "./file-at.ts";
import { type FileAtRest, isAtRest } from "./file-at-rest.ts";
import { GateTimes } from "./gate-times.ts";
import { goOn } from "./go-on.ts";
import { heldAfter } from "./held-after.ts";
import type { CopiedBack, HeldAt, HolderInit, ReadFrom } from "./holding.ts";
import { Hole } from "./hole.ts";
import { LiveWal } from "./live-wal.ts";
import { type OldWal, takeAwayOldWal } from "./old-wal.ts";
import { ReadingToEnd, unreadable } from "./reading-to-end.ts";
import { Relay } from "./relay.ts";
import { Residue } from "./residue.ts";
import { settle } from "./settle.ts";
import { waitHere } from "./wait-for.ts";
import { ForeignCheckpoints } from "./waiting-checkpoint.ts";

/** How often the bulk is copied back before the gate is shut. */
const ROUNDS = 3;
/** A writer that is just changing the WAL's index is done after fewer, unless it is stopped. */
const LAST_LOOKS = 100;

/**
 * Holds the WAL of a live database so that no frame is overwritten before it was read, and copies it
 * back in the app's place, which its own checkpoints cannot while we hold.
 */
export class WalHolder {
  readonly wal: LiveWal;
  readonly gates: GateTimes = new GateTimes();
  oldWal: OldWal = "none";
  readonly #init: HolderInit;
  readonly #relay: Relay;
  /** The WAL is copied back and read to its end: the next writer begins it anew, once. */
  #mayRestart = false;
  #copiedBytes = 0;
  #lastInstant = 0;
  readonly #residue: Residue;
  #closed = false;
  readonly #reading = new ReadingToEnd();
  readonly #checkpoints: ForeignCheckpoints;
  /** Where the file lay that our connections have open. */
  readonly #held: HeldAt;

  /** Holds nothing yet. @throws SqliteError busy, when somebody holds the database exclusively */
  constructor(init: HolderInit) {
    this.#init = init;
    this.wal = new LiveWal(init.path, init.pageSize);
    this.#checkpoints = new ForeignCheckpoints(init.path);
    this.#residue = new Residue(init.limits.residueBytes, init.checkpointFreely);
    // Asked before they are opened: a file that is replaced meanwhile is then noticed at the first look.
    this.#held = { path: init.path, identity: fileAt(init.path) };
    this.#relay = new Relay(init.path);
  }

  /** All that was committed before this instant (ms since 1970) was found; undefined where that is not known. */
  get allReadAt(): number | undefined {
    return this.#reading.wholeAt;
  }

  /** Bytes of committed frames that are not known to be copied back. */
  get backlogBytes(): number {
    return Math.max(0, this.wal.committedBytes - this.#copiedBytes);
  }

  /**
   * Takes hold of the WAL and reads it from a place on: the bulk while writers write, the rest behind the gate, so
   * that what is read and what is held are the same.
   * @param from where reading goes on, the instant that was reached there, and how the file lay then if that is known; left
   *   out: at the WAL's start
   * @returns whether it goes on from there: the WAL proves that all since is still to be read. It is held either way
   * @throws SqliteError busy when a writer was at work for longer than one try takes; nothing is held then
   */
  takeHold(from?: ReadFrom): boolean {
    this.#relay.takeHold();
    try {
      // Since it was looked at the app may have left WAL mode: to hold it would keep every commit out.
      if (this.#relay.facts().journalMode !== "wal")
        throw new Hole("the database is not in WAL mode any more");
      // From now on it is known by its file, should another one come into its place.
      this.wal.header();
      const by = from && goOn(this.wal, this.#init.path, from);
      if (by) {
        this.#lastInstant = from.instant;
        this.poll();
      }
      return this.#relay.whileGated(() => {
        if (by) this.poll();
        const { logged, checkpointed } = this.#relay.progress();
        this.#mayRestart = logged === checkpointed;
        if (!by || this.wal.committed.frames !== logged) return false;
        // All that is copied back may be overwritten from now on: what is to be shipped of it is in memory, or lost.
        if (this.#mayRestart && !this.#init.mayBeginAnew()) return false;
        // Asked last: who copied anything of this WAL back has written to the file by now.
        return by === "place" || (from?.rest !== undefined && isAtRest(this.#init.path, from.rest));
      });
    } catch (thrown) {
      this.#relay.letGo();
      throw thrown;
    }
  }

  /**
   * Looks for new commits.
   * @throws Hole when the WAL was begun anew although it was held, or the database is no longer the file that is held
   */
  poll(): void {
    const { path, configured = path } = this.#init;
    if (!this.#relay.holds) throw new Hole("the WAL is not held any longer");
    if (fileAt(configured) !== this.#held.identity)
      throw new Hole("another file was put in the database's place, or it was removed");
    const now = Date.now();
    const logged = this.#look();
    this.#reading.looked({ at: now, logged, read: this.wal.committed.frames });
  }

  /**
   * Looks until all is found that was committed by now, since nobody looks again.
   * @throws Hole as {@link poll}
   */
  pollToEnd(): void {
    this.poll();
    for (let look = 0; look < LAST_LOOKS && !this.#reading.isWhole; look++) {
      waitHere(1);
      this.poll();
    }
  }

  /** @returns how many frames are committed by the WAL's index */
  #look(): number {
    let { logged } = this.#relay.progress();
    const header = this.wal.header();
    // None yet; or one that is being written, and then there is nothing to read either.
    if (!header) return logged;
    if (this.wal.isOther(header)) {
      // One without a commit in it is begun anew when its first transaction was rolled back.
      if (this.wal.committed.frames > 0 && !this.#mayRestart)
        throw new Hole("the WAL was begun anew although it was held");
      this.wal.begin(header);
      this.#copiedBytes = 0;
      // Asked before, it may have told of the run before.
      logged = this.#relay.progress().logged;
    }
    const frames = this.wal.advance(logged);
    if (!frames) return logged;
    // Written behind what is copied back, as a reader of the app's kept the WAL from being begun anew.
    this.#mayRestart = false;
    this.#lastInstant = Math.max(this.#lastInstant, Date.now());
    this.#init.found(frames, this.#lastInstant);
    return logged;
  }

  /**
   * Copies the WAL back: the bulk while writers write, the rest behind the gate.
   * @returns undefined when it could not be completed: an old reader, a writer at work, one more round needed
   * @throws Hole as {@link poll}
   */
  copyBack(): CopiedBack | undefined {
    if (!this.#init.mayBeginAnew()) return undefined;
    try {
      this.#copyBulk();
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
   * Makes way for a checkpoint of the app that waits for us and keeps its writers out meanwhile, and holds all the same: the
   * other reader takes hold at the newest commit, up to which the WAL may then be copied back, and once it is, on read
   * lock 0, beside which it may be begun anew. Nothing is unread by then. To be called again for as long as one waits.
   */
  makeWay(): void {
    if (!this.#checkpoints.oneWaits(this.wal.committed)) return;
    this.poll();
    try {
      this.#pass();
    } catch (thrown) {
      if (!isBusy(thrown)) throw thrown;
    }
  }

  /**
   * Copies all back, once all that was read is stored, and looks how the file lies then.
   * @returns undefined where it is not at rest: a writer at work, an old reader
   * @throws Hole as {@link poll}
   */
  settle(): FileAtRest | undefined {
    return settle(this.#init.path, {
      copyBack: () => this.copyBack() !== undefined,
      whileGated: (inside) => this.#relay.whileGated(inside),
      isCopiedBack: () => {
        this.poll();
        const { logged, checkpointed } = this.#relay.progress();
        return logged === checkpointed && this.#reading.isWhole;
      },
    });
  }

  /** The file as it stands after {@link copyBack}: held for as long as that is not called again. */
  heldFile(copied: CopiedBack, release: () => void): HeldFile {
    return heldAfter(copied, {
      facts: this.#relay.facts(),
      isOpen: () => !this.#closed,
      release,
    });
  }

  /** Lets go. May be called twice. */
  close(): void {
    if (!this.#closed) this.oldWal = takeAwayOldWal(this.#held, this.#relay, this.wal);
    this.#closed = true;
    this.#relay.close();
    this.wal.close();
  }

  /** Nobody writes meanwhile: nothing needs to be held while the reader changes its place. */
  #copyRest(): Omit<CopiedBack, "gateMs"> | undefined {
    const { logged } = this.#relay.progress();
    if (logged < 0) return undefined;
    if (this.#residue.isExceededBy(this.#restBytes())) {
      this.#residue.allowMore();
      return undefined;
    }
    this.poll();
    if (logged > 0 && this.wal.committed.frames !== logged) throw unreadable();
    if (!this.#init.mayBeginAnew()) return undefined;
    this.#relay.letGo();
    // From here on, since a checkpoint of somebody else may end what ours could not.
    this.#mayRestart = true;
    try {
      if (!this.#relay.copyAllBack(this.#init.limits.gateMs)) return undefined;
      this.#copiedBytes = this.wal.committedBytes;
      this.#residue.reset();
      return { at: new Date(), place: this.wal.place };
    } finally {
      this.#relay.takeHoldAgain();
    }
  }

  /** The other reader takes hold once all up to there is read: where all is copied back, by whomever, the next writer begins the WAL anew. */
  #pass(): void {
    if (!this.#init.mayBeginAnew()) return;
    this.#relay.pass(() => {
      this.poll();
      const { isWhole } = this.#reading;
      this.#mayRestart ||= isWhole && this.#init.mayBeginAnew();
      return isWhole;
    });
  }

  /** Bytes that are still to be read or to be copied back behind the gate. */
  #restBytes(): number {
    const { logged, checkpointed } = this.#relay.progress();
    return (logged - Math.min(checkpointed, this.wal.committed.frames)) * this.#init.pageSize;
  }

  /** While writers write. Each round leaves what was written during it: a few soon leave little, unless an old reader stands in the way. */
  #copyBulk(): void {
    for (let round = 0; round < ROUNDS; round++) {
      this.#pass();
      if (this.#init.checkpointFreely) this.#relay.checkpoint();
      this.poll();
      if (!this.#init.checkpointFreely || !this.#residue.isExceededBy(this.#restBytes())) return;
    }
  }
}
