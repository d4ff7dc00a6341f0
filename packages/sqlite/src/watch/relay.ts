import { reasonOf } from "@lifeboat/core";
import { beginRead, type Connection, connect } from "../driver.ts";
import { type DatabaseFacts, factsOf } from "../hold/held.ts";
import { copyBack, progressOf, type WalProgress } from "../hold/wal-checkpoint.ts";
import { Hole } from "./hole.ts";
import { waitHere } from "./wait-for.ts";

/**
 * The connections by which a watch holds a WAL, from {@link takeHold} on. At every moment one of two readers is there, so that
 * no frame can be overwritten before it was read (sqlite.org/walformat.html, 2.2): a reader on a mark
 * keeps the WAL from being begun anew, one on read lock 0 keeps it from being copied back. Where the one lets go,
 * the other holds already, or the gate is shut.
 */
export class Relay {
  readonly #readers: [Connection, Connection];
  readonly #gate: Connection;
  readonly #checkpointer: Connection;

  /** @throws SqliteError busy, when somebody holds the database exclusively at this moment */
  constructor(path: string) {
    const opened: Connection[] = [];
    try {
      for (let count = 0; count < 4; count++) opened.push(connect(path, { readonly: false }));
      const [first, second, gate, checkpointer] = opened as [
        Connection,
        Connection,
        Connection,
        Connection,
      ];
      this.#readers = [first, second];
      this.#gate = gate;
      this.#checkpointer = checkpointer;
      // A read tells it that this is a WAL; without one a checkpoint does nothing.
      checkpointer.prepare("SELECT count(*) FROM sqlite_schema").get();
    } catch (thrown) {
      for (const connection of opened) connection.close();
      throw thrown;
    }
  }

  /** What the reader that holds sees. */
  facts(): DatabaseFacts {
    return factsOf(this.#readers[0]);
  }

  /**
   * The other reader takes hold at the newest commit, then the one that held lets go.
   * @param whileBothHold runs in between, and says whether to pass: beside a reader on read lock 0 the WAL may be begun anew, so that
   *   all up to there has to be read by then
   */
  pass(whileBothHold: () => boolean): void {
    const [holder, other] = this.#readers;
    beginRead(other);
    let passes = false;
    try {
      passes = whileBothHold();
    } finally {
      (passes ? holder : other).exec("COMMIT");
    }
    if (passes) this.#readers.reverse();
  }

  /** Whether one of the readers is there. */
  get holds(): boolean {
    return this.#readers[0].inTransaction;
  }

  /** Lets go, for a moment only behind the gate. */
  letGo(): void {
    if (this.holds) this.#readers[0].exec("COMMIT");
  }

  /** Takes hold again at the newest commit; where all is copied back, by read lock 0. */
  takeHold(): void {
    beginRead(this.#readers[0]);
  }

  /** The same after {@link letGo}. @throws Hole when it cannot: whatever is committed from now on may be overwritten unread */
  takeHoldAgain(): void {
    try {
      this.takeHold();
    } catch (thrown) {
      throw new Hole(`the WAL could not be held any longer (${reasonOf(thrown)})`);
    }
  }

  /**
   * Runs `inside` while no other connection can write. Nothing is written, so ending it is a rollback.
   * @throws SqliteError busy when a writer was at work for longer than one try takes
   */
  whileGated<T>(inside: () => T): T {
    this.#gate.exec("BEGIN IMMEDIATE");
    try {
      return inside();
    } finally {
      this.#gate.exec("ROLLBACK");
    }
  }

  /** PASSIVE waits for nobody and keeps nobody waiting. */
  checkpoint(): WalProgress {
    return copyBack(this.#checkpointer);
  }

  /**
   * Behind the gate: copies all back. One of the app's own checkpoints may be under way; no further one can begin with more.
   * @param patienceMs how long that one is waited for
   * @returns false when it could not be completed: an old reader is nothing to wait for where writers wait
   */
  copyAllBack(patienceMs: number): boolean {
    const until = performance.now() + patienceMs;
    for (;;) {
      const { busy, logged, checkpointed } = this.checkpoint();
      if (!busy && logged === checkpointed) return true;
      if (!busy || performance.now() > until) return false;
      waitHere(1);
    }
  }

  /** How far the WAL is copied back, without doing anything. */
  progress(): WalProgress {
    return progressOf(this.#checkpointer);
  }

  /** May be called twice. */
  close(): void {
    for (const connection of [...this.#readers, this.#gate, this.#checkpointer]) connection.close();
  }
}
