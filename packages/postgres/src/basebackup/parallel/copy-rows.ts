import { reasonOf } from "@lifeboat/core";
import type { Connection, Submittable } from "pg";

/** Signature, flags, and the length of an extension (the manual, "COPY", "Binary Format"). */
const HEADER_BYTES = 19;
const NULL_LENGTH = -1;

/** `COPY … TO STDOUT (FORMAT binary)` of one column; the server sends one message a row. */
export class CopyRows implements Submittable {
  /** The column of each row; null where it is null. */
  readonly values: Promise<(Buffer | null)[]>;
  readonly #command: string;
  readonly #rows: (Buffer | null)[] = [];
  readonly #settled = Promise.withResolvers<(Buffer | null)[]>();
  #isFirst = true;
  #failure: unknown;

  constructor(command: string) {
    this.#command = command;
    this.values = this.#settled.promise;
  }

  submit(connection: Connection): void {
    connection.query(this.#command);
  }

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    if (this.#failure !== undefined) return;
    try {
      this.#take(chunk);
    } catch (cause) {
      // Thrown to `pg` it would end the process, and not the backup.
      this.handleError(new Error(`the server's answer cannot be read: ${reasonOf(cause)}`));
    }
  }

  #take(chunk: Buffer): void {
    let at = this.#isFirst ? HEADER_BYTES : 0;
    this.#isFirst = false;
    // The header may come with the first row or alone; -1 fields end the data.
    if (at >= chunk.length || chunk.readInt16BE(at) < 1) return;
    at += 2;
    const length = chunk.readInt32BE(at);
    at += 4;
    if (at + length > chunk.length)
      throw new Error(`a value of ${length} bytes in a message of ${chunk.length}`);
    // Copied: the parser reuses its memory for the next message.
    const own = length === NULL_LENGTH ? null : Buffer.allocUnsafeSlow(length);
    if (own) chunk.copy(own, 0, at, at + length);
    this.#rows.push(own);
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(): void {}

  handleError(reason: unknown): void {
    this.#failure ??= reason;
    this.#settled.reject(reason);
  }

  handleReadyForQuery(): void {
    if (this.#failure === undefined) this.#settled.resolve(this.#rows);
  }
}
