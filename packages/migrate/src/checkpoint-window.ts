import type { Database } from "better-sqlite3";

/** How long a read waits for the product's checkpoint, in milliseconds. */
export interface CheckpointPatience {
  readonly forReset: number;
  /** A WAL that has not grown for so long is nobody's who writes. */
  readonly forIdle: number;
  /** After waiting in vain nothing is waited for; twice as long each time, up to `MAX_RELENT_MS`. */
  readonly relent: number;
}

/** Half of what SQLite checkpoints at by itself (pragma.html, "wal_autocheckpoint"): a read that begins here is over by then. */
const YOUNG_FRAMES = 500n;
const PATIENCE: CheckpointPatience = { forReset: 30, forIdle: 5, relent: 250 };
const MAX_RELENT_MS = 8_000;
const STEP_MS = 0.5;

const nobodyWakes = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/**
 * Lets the product's checkpoints through between the short reads of a long walk. A read that is under way when the WAL has grown to
 * its limit keeps it from being begun anew (wal.html, "Avoiding Excessively Large WAL Files"), and then each commit tries a
 * checkpoint of its own, with fsyncs of its own: a product of 6,000 commits a second was left with a third of them. So
 * a read begins while the WAL is young, and else waits until the product has begun it anew.
 */
export class CheckpointWindow {
  readonly #db: Database;
  readonly #frames: () => bigint;
  readonly #patience: CheckpointPatience;
  #relentMs: number;
  #relentUntil = 0;

  /** @param db a connection with safe integers, and without an unfinished read whenever {@link await} is called */
  constructor(db: Database, patience = PATIENCE) {
    this.#db = db;
    // Does nothing but tell, since SQLite 3.51; -1 frames where there is no WAL.
    const told = db.prepare<[], [bigint, bigint, bigint]>("PRAGMA wal_checkpoint(NOOP)").raw();
    this.#frames = () => told.get()?.[1] ?? 0n;
    this.#patience = patience;
    this.#relentMs = patience.relent;
  }

  /**
   * Blocks this thread until a read may begin: at once where the WAL is young, nobody writes, or the product does not
   * checkpoint at the usual size, and in no case for longer than its patience. Within a transaction of ours nothing is
   * waited for: what that holds, it holds anyway.
   */
  await(): void {
    if (this.#db.inTransaction) return;
    const started = performance.now();
    if (started < this.#relentUntil) return;
    const first = this.#frames();
    for (let frames = first; frames >= YOUNG_FRAMES; frames = this.#frames()) {
      const waited = performance.now() - started;
      const isIdle = frames === first && waited >= this.#patience.forIdle;
      if (isIdle || waited >= this.#patience.forReset) {
        this.#relent();
        return;
      }
      Atomics.wait(nobodyWakes, 0, 0, STEP_MS);
    }
    this.#relentMs = this.#patience.relent;
  }

  #relent(): void {
    this.#relentUntil = performance.now() + this.#relentMs;
    this.#relentMs = Math.min(MAX_RELENT_MS, this.#relentMs * 2);
  }
}
