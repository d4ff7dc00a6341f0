import type { Duplex } from "node:stream";
import type { Report } from "@lifeboat/core";
import type { Connection, Submittable } from "pg";
import { PackedBytes } from "../packed/bytes.ts";
import { type Lsn, lsnOf } from "../wal/lsn.ts";
import { CopyFrames, type CopyPiece } from "./copy-frames.ts";
import { CopyStream } from "./copy-stream.ts";
import { DATA_CORRUPTED } from "./corrupt-page.ts";
import type { BaseBackup, TablespaceArchive } from "./transport.ts";

/** What CopyData holds, by its first byte: bytes of an archive, or of the manifest. */
const CONTENT = 0x64;

interface Position {
  readonly lsn: Lsn;
  readonly timeline: number;
}

/**
 * BASE_BACKUP as a query of `pg`, whose own queries drop CopyData. The answer is, in this order: the
 * start position; the tablespaces; the archives and the manifest as CopyData, told apart by their
 * first byte; the stop position. The methods named `handle…` are those that `pg` calls; CopyData never gets as far.
 */
export class BaseBackupQuery implements Submittable {
  readonly #command: string;
  readonly #socket: Duplex;
  readonly #report: Report;
  #results = 0;
  #positions: Position[] = [];
  #totalBytes = 0;
  readonly #waiting: TablespaceArchive[] = [];
  #current: CopyStream | undefined;
  #manifest: PackedBytes | undefined;
  /** The first byte of the CopyData that is coming, and what of it is kept until it is whole. */
  #kind = 0;
  readonly #pieces: Buffer[] = [];
  #ended = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  /** The server found pages whose checksum does not fit. Its warnings name them. */
  corrupt = false;

  constructor(init: { command: string; socket: Duplex; report: Report }) {
    this.#command = init.command;
    this.#socket = init.socket;
    this.#report = init.report;
  }

  /** The archives as they come. Ends when the server has said that it is done; throws if it failed. */
  async *archives(): AsyncGenerator<TablespaceArchive> {
    for (;;) {
      const archive = this.#waiting.shift();
      if (archive) yield archive;
      else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #isComplete(): boolean {
    return this.#positions.length === 2 && this.#manifest !== undefined;
  }

  /** What the server said about the whole. Only after {@link archives} has ended. */
  backup(): BaseBackup {
    const [start, stop] = this.#positions;
    if (!start || !stop || !this.#manifest)
      throw new Error("the server ended BASE_BACKUP without its positions or its manifest");
    return {
      startLsn: start.lsn,
      stopLsn: stop.lsn,
      timeline: stop.timeline,
      manifest: this.#manifest,
      manifestInArchive: false,
      corruptPages: [],
    };
  }

  submit(connection: Connection): void {
    CopyFrames.takeOver(this.#socket, (piece) => this.#take(piece));
    connection.query(this.#command);
  }

  handleRowDescription(): void {
    this.#results++;
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    const [first, second, third] = fields;
    // The second result lists the tablespaces, with their size in kilobytes.
    if (this.#results === 2) this.#totalBytes += Number(third ?? 0) * 1024;
    else this.#positions.push({ lsn: lsnOf(first ?? ""), timeline: Number(second) });
  }

  /** An archive's bytes go on as they come; of what else comes all is needed first. */
  #take({ bytes, isFirst, isLast }: CopyPiece): void {
    if (isFirst) this.#kind = bytes[0] as number;
    const body = isFirst ? bytes.subarray(1) : bytes;
    if (this.#kind === CONTENT && !this.#manifest) {
      this.#current?.push(body);
      return;
    }
    this.#pieces.push(Buffer.from(body));
    if (isLast) this.#handle(Buffer.concat(this.#pieces.splice(0)));
  }

  #handle(body: Buffer): void {
    switch (String.fromCharCode(this.#kind)) {
      case "n":
        this.#beginArchive(body);
        break;
      case "m":
        this.#endArchive();
        this.#manifest = new PackedBytes();
        break;
      case "d":
        this.#manifest?.add(body);
        break;
      case "p":
        this.#report({ bytes: Number(body.readBigInt64BE(0)), totalBytes: this.#totalBytes });
        break;
    }
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#endArchive();
    this.#ended = true;
    this.#wakeReader();
  }

  handleError(reason: unknown): void {
    // All has been sent by then; that pages of it are damaged is no reason to go without.
    if ((reason as { code?: string }).code === DATA_CORRUPTED && this.#isComplete()) {
      this.corrupt = true;
      this.handleReadyForQuery();
      return;
    }
    this.#failure = reason;
    this.#current?.fail(reason);
    this.#wakeReader();
  }

  #beginArchive(body: Buffer): void {
    this.#endArchive();
    const [name = "", location = ""] = body.toString("utf8").split("\0");
    this.#current = new CopyStream(this.#socket);
    const oid = Number.parseInt(name, 10);
    this.#waiting.push({
      tablespace: Number.isNaN(oid) ? null : { oid, location },
      part: null,
      content: this.#current,
    });
    this.#wakeReader();
  }

  #endArchive(): void {
    this.#current?.end();
    this.#current = undefined;
  }

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
