import { reasonOf } from "@lifeboat/core";
import type { Connection, Submittable } from "pg";
import { formatLsn, type Lsn, lsnOf } from "./lsn.ts";

/** What `pg` adds for COPY to its connection, which its types do not name. */
interface CopyConnection extends Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** Where the stream goes on after the end of a timeline. */
export interface NextTimeline {
  readonly timeline: number;
  readonly position: Lsn;
}

export interface ReceiveInit {
  /** Null: what the server happens to have, which it may remove meanwhile. */
  readonly slot: string | null;
  readonly start: Lsn;
  readonly timeline: number;
  /** Takes WAL as it comes, in order and without a gap. Copies what it keeps. */
  take(bytes: Buffer): void;
}

const STANDBY_STATUS_BYTES = 34;
const WAL_DATA_HEADER = 25;

/** Microseconds from 1970 to 2000, where the server's clock begins. */
const POSTGRES_EPOCH = 946_684_800_000_000n;

/**
 * START_REPLICATION as a query of `pg` (the manual, "Streaming Replication Protocol"): WAL comes as
 * CopyData, and the position up to which it is safe goes back the same way. The methods named
 * `handle…` are those that `pg` calls.
 */
export class ReceiveQuery implements Submittable {
  /**
   * Resolves when the server has ended the stream, rejects when it failed. With the timeline that
   * follows where the server left this one; undefined where we asked it to end.
   */
  readonly ended: Promise<NextTimeline | undefined>;
  readonly #init: ReceiveInit;
  #received: Lsn;
  #connection: CopyConnection | undefined;
  #flushed: Lsn = 0n;
  #ending = false;
  #next: NextTimeline | undefined;
  #heardAt = performance.now();
  /** While we did not listen the server could not say anything. */
  readonly #listenAgain = () => {
    this.#heardAt = performance.now();
  };
  readonly #end: {
    resolve(next: NextTimeline | undefined): void;
    reject(reason: unknown): void;
  };

  constructor(init: ReceiveInit) {
    this.#init = init;
    this.#received = init.start;
    const { promise, resolve, reject } = Promise.withResolvers<NextTimeline | undefined>();
    this.ended = promise;
    this.#end = { resolve, reject };
    // It is awaited where the stream is stopped; until then a failure is not an unhandled one.
    promise.catch(() => {});
  }

  submit(connection: Connection): void {
    this.#connection = connection as CopyConnection;
    connection.stream.on("resume", this.#listenAgain);
    const { slot, start, timeline } = this.#init;
    // The end of a timeline: the server waits for our CopyDone before it says which one follows.
    connection.once("copyDone", this.#endCopy);
    connection.query(
      `START_REPLICATION ${slot === null ? "" : `SLOT "${slot}" `}PHYSICAL ${formatLsn(start)} TIMELINE ${timeline}`,
    );
  }

  /** How long the server has said nothing, in milliseconds. While we do not listen it may not. */
  get silentMs(): number {
    if (this.#connection?.stream.isPaused()) return 0;
    return performance.now() - this.#heardAt;
  }

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    this.#heardAt = performance.now();
    if (chunk[0] === 0x77) this.#orEnd(() => this.#takeWal(chunk));
    else if (chunk[0] === 0x6b && chunk[17] === 1) this.sendStatus();
  }

  /**
   * Tells the server up to where WAL is safe here. Position 0 says nothing of it: a standby without
   * a flush position is never waited for by a commit, however `synchronous_standby_names` is set.
   * @param ask want an answer at once: a server that hears from us has no reason to say anything by itself
   */
  sendStatus(flushed: Lsn = this.#flushed, ask = false): void {
    this.#flushed = flushed;
    if (this.#ending) return;
    const status = Buffer.alloc(STANDBY_STATUS_BYTES);
    status.writeUInt8(0x72, 0);
    status.writeBigUInt64BE(flushed, 1);
    status.writeBigUInt64BE(flushed, 9);
    status.writeBigUInt64BE(0n, 17);
    status.writeBigInt64BE(BigInt(Date.now()) * 1000n - POSTGRES_EPOCH, 25);
    status.writeUInt8(Number(ask), 33);
    this.#connection?.sendCopyFromChunk(status);
  }

  /** Asks the server to end the stream; {@link ended} resolves when it has. */
  stop(): void {
    this.#endCopy();
  }

  readonly #endCopy = (): void => {
    if (this.#ending) return;
    this.#ending = true;
    this.#connection?.endCopyFrom();
  };

  /** The connection may have other commands after this one. */
  #leave(): void {
    this.#connection?.stream.off("resume", this.#listenAgain);
    this.#connection?.off("copyDone", this.#endCopy);
  }

  handleRowDescription(): void {}

  handleDataRow({ fields: [timeline, position] }: { fields: readonly unknown[] }): void {
    this.#orEnd(() => {
      this.#next = { timeline: Number(String(timeline)), position: lsnOf(String(position)) };
    });
  }

  /** What is thrown to `pg` ends the process, and not the stream. */
  #orEnd(read: () => void): void {
    try {
      read();
    } catch (cause) {
      this.#end.reject(new Error(`the server's stream cannot be read: ${reasonOf(cause)}`));
    }
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#leave();
    this.#end.resolve(this.#next);
  }

  handleError(reason: unknown): void {
    this.#leave();
    this.#end.reject(reason);
  }

  #takeWal(chunk: Buffer): void {
    const start = chunk.readBigUInt64BE(1);
    const bytes = chunk.subarray(WAL_DATA_HEADER);
    if (start !== this.#received) {
      this.#end.reject(
        new Error(`WAL came from ${formatLsn(start)} instead of ${formatLsn(this.#received)}`),
      );
      return;
    }
    this.#received += BigInt(bytes.length);
    this.#init.take(bytes);
  }
}
