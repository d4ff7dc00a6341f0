import { beginRead, type Connection, connect, isBusy, patiently } from "../driver.ts";
import { copyBack, progressOf, type WalProgress } from "./wal-checkpoint.ts";

/**
 * The three connections to a WAL-mode database that hold its file still: the gate keeps writers out
 * for a moment, the checkpointer empties the WAL into the file, the reader keeps it so.
 */
export class WalConnections {
  /** Of the database file. */
  readonly path: string;
  readonly reader: Connection;
  readonly #gate: Connection;
  readonly #checkpointer: Connection;

  private constructor(path: string, reader: Connection) {
    this.path = path;
    this.reader = reader;
    this.#gate = connect(path, { readonly: false });
    this.#checkpointer = connect(path, { readonly: false });
    // A read tells each of them that this is a WAL; without one a checkpoint does nothing.
    this.#checkpointer.prepare("SELECT count(*) FROM sqlite_schema").get();
  }

  static async open(path: string, patienceMs: number, signal: AbortSignal) {
    return patiently(patienceMs, signal, () => {
      const reader = connect(path, { readonly: false });
      try {
        return new WalConnections(path, reader);
      } catch (thrown) {
        reader.close();
        throw thrown;
      }
    });
  }

  /**
   * Runs `inside` while no other connection can write: false if a writer was at work for longer than
   * one try takes. Nothing is written, so ending it is a rollback.
   */
  whileGated(inside: () => void): boolean {
    try {
      this.#gate.exec("BEGIN IMMEDIATE");
    } catch (thrown) {
      if (isBusy(thrown)) return false;
      throw thrown;
    }
    try {
      inside();
    } finally {
      this.#gate.exec("ROLLBACK");
    }
    return true;
  }

  /** PASSIVE waits for nobody and keeps nobody waiting; the other kinds would do both. */
  checkpoint(): WalProgress {
    return copyBack(this.#checkpointer);
  }

  /** How far it is, without doing anything. */
  progress(): WalProgress {
    return progressOf(this.#checkpointer);
  }

  beginRead(): void {
    beginRead(this.reader);
  }

  /** Ends the read transaction and closes all three. May be called twice. */
  close(): void {
    for (const connection of [this.reader, this.#gate, this.#checkpointer]) connection.close();
  }
}
