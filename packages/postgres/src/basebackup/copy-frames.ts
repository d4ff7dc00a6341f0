import type { Duplex } from "node:stream";
import { reasonOf, release } from "@lifeboat/core";

/** A message: its type, and its length without that (manual, "Message Formats"). */
const HEADER_BYTES = 5;
const TYPE_BYTES = 1;
const COPY_DATA = 0x64;
/** Anything else that a server sends while it copies is small: notices, results of some rows. */
const LONGEST_OTHER = 64 << 20;

type DataListener = (chunk: Buffer) => void;

/** A part of a CopyData message; good only until the call returns. */
export interface CopyPiece {
  readonly bytes: Buffer;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/**
 * Takes CopyData messages out of what a server sends before `pg` sees it, and leaves all others to it. Its parser puts
 * each message together in memory of its own first, and what the socket read stays until garbage is collected: together
 * a third of the CPU of a backup. Here a message's bytes are handed on as they come, in pieces, and their memory is
 * given back at once.
 */
export class CopyFrames {
  readonly #onData: (piece: CopyPiece) => void;
  readonly #socket: Duplex;
  readonly #others: readonly DataListener[];
  /** The header that is coming, or all of a message that is left to `pg`. */
  #message: Buffer = Buffer.alloc(HEADER_BYTES);
  #filled = 0;
  /** So much of a CopyData is still to come. */
  #missing = 0;
  #isFirst = false;

  private constructor(socket: Duplex, onData: (piece: CopyPiece) => void) {
    this.#socket = socket;
    this.#others = socket.listeners("data") as DataListener[];
    this.#onData = onData;
  }

  /**
   * For the rest of the connection. Between two messages: when a query is sent, and nothing is under way.
   */
  static takeOver(socket: Duplex, onData: (piece: CopyPiece) => void): void {
    const frames = new CopyFrames(socket, onData);
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => {
      try {
        frames.#take(chunk);
      } catch (cause) {
        // Thrown out of here it would end the process, and not the backup.
        socket.destroy(new Error(`the server's answer cannot be read: ${reasonOf(cause)}`));
      }
      release(chunk);
    });
  }

  #take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#socket.destroyed; ) {
      if (this.#missing > 0) {
        const bytes = chunk.subarray(at, at + this.#missing);
        this.#missing -= bytes.length;
        at += bytes.length;
        this.#onData({ bytes, isFirst: this.#isFirst, isLast: this.#missing === 0 });
        this.#isFirst = false;
      } else {
        const part = chunk.subarray(at, at + this.#message.length - this.#filled);
        this.#message.set(part, this.#filled);
        this.#filled += part.length;
        at += part.length;
        if (this.#filled === this.#message.length) this.#endPart();
      }
    }
  }

  /** The header is whole, or the message is. */
  #endPart(): void {
    const message = this.#message;
    const length = TYPE_BYTES + message.readUInt32BE(TYPE_BYTES);
    if (message.length < length && message[0] !== COPY_DATA) {
      if (length > LONGEST_OTHER) {
        this.#socket.destroy(new Error(`the server sends a message of ${length} bytes`));
        return;
      }
      this.#message = Buffer.alloc(length);
      this.#message.set(message);
      return;
    }
    this.#message = Buffer.alloc(HEADER_BYTES);
    this.#filled = 0;
    if (message[0] === COPY_DATA) {
      this.#missing = length - HEADER_BYTES;
      this.#isFirst = true;
    } else for (const listener of this.#others) listener(message);
  }
}
