import { LifeboatError } from "@lifeboat/core";
import { PackedBytes } from "../packed/bytes.ts";
import { isHeader, nameOf, paddingOf, sizeOf, TAR_BLOCK, typeOf } from "./tar-header.ts";

/** A regular file of the archive, as its header tells. */
export interface TarFile {
  /** Bytes as Latin-1 characters, so that no name is lost whatever its encoding. */
  readonly path: string;
  readonly bytes: number;
}

/**
 * Passes a tar stream on untouched and picks small members out of it by name. A second tar parser
 * would copy every byte; this one looks at headers only, and skips what lies between. A header that
 * is none means that bytes are missing or strange, and ends the stream at once: a backup is no place
 * to find its way again.
 */
export class TarWatch {
  /** The content of the members asked for, once the stream has passed. */
  readonly members = new Map<string, PackedBytes>();
  /** Whether the stream ended where a tar ends: at a member's border. */
  whole = false;

  readonly #wanted: ReadonlySet<string>;
  readonly #onFile: (file: TarFile) => void;
  readonly #onHeader: (header: Uint8Array) => void;
  #header = Buffer.alloc(TAR_BLOCK);
  #headerFilled = 0;
  /** Bytes of the member under way that are still to come, and of its padding. */
  #missing = 0;
  #padding = 0;
  #collecting: { name: string; content: PackedBytes } | undefined;
  #last = "";

  /**
   * @param onFile called with each regular file when its header passes
   * @param onHeader called with each member's header, as it stands; its memory is used again
   */
  constructor(
    wanted: readonly string[],
    onFile: (file: TarFile) => void = () => {},
    onHeader: (header: Uint8Array) => void = () => {},
  ) {
    this.#wanted = new Set(wanted);
    this.#onFile = onFile;
    this.#onHeader = onHeader;
  }

  async *through(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      this.#scan(chunk);
      yield chunk;
    }
    this.whole = this.#headerFilled === 0 && this.#missing === 0 && this.#padding === 0;
  }

  #scan(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const left = chunk.length - at;
      if (this.#missing > 0) {
        const count = Math.min(left, this.#missing);
        this.#collecting?.content.add(chunk.subarray(at, at + count));
        this.#missing -= count;
        at += count;
        if (this.#missing === 0) this.#endMember();
      } else if (this.#padding > 0) {
        const count = Math.min(left, this.#padding);
        this.#padding -= count;
        at += count;
      } else {
        const count = Math.min(left, TAR_BLOCK - this.#headerFilled);
        this.#header.set(chunk.subarray(at, at + count), this.#headerFilled);
        this.#headerFilled += count;
        at += count;
        if (this.#headerFilled === TAR_BLOCK) this.#beginMember();
      }
    }
  }

  #beginMember(): void {
    this.#headerFilled = 0;
    const name = nameOf(this.#header);
    // Blocks of zeros close the archive.
    if (this.#header.every((byte) => byte === 0)) return;
    if (!isHeader(this.#header)) throw damaged(this.#last);
    this.#last = name;
    this.#onHeader(this.#header);
    const size = sizeOf(this.#header.subarray(124, 136));
    this.#missing = size;
    this.#padding = paddingOf(size);
    const path = name.replace(/^\.\//, "");
    if (typeOf(this.#header) === "0") this.#onFile({ path, bytes: size });
    if (this.#wanted.has(path)) this.#collecting = { name: path, content: new PackedBytes() };
    if (size === 0) this.#endMember();
  }

  #endMember(): void {
    if (this.#collecting) this.members.set(this.#collecting.name, this.#collecting.content);
    this.#collecting = undefined;
  }
}

function damaged(last: string): LifeboatError {
  const where = last === "" ? "at its start" : `after ${last}`;
  return new LifeboatError({
    code: "BASE_BACKUP_FAILED",
    message: `the base backup failed: bytes of the archive are missing or damaged ${where}`,
    remedy: "run the backup again; with --transport wire if it happens twice",
  });
}
