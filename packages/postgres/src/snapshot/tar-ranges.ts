import { ObjectRanges } from "@lifeboat/core";
import { typeOf } from "../basebackup/tar-header.ts";
import { TarWatch } from "../basebackup/tar-watch.ts";
import { PackedLines } from "../packed/lines.ts";

/** How many headers, and ranges, stand in one line of the object: it is read a line at a time. */
const HEADERS_IN_LINE = 64;
const RANGES_IN_LINE = 1024;

/** Types of members that a base backup consists of: files, directories, and links to tablespaces. */
const PLAIN_TYPES = new Set(["0", "2", "5"]);

/**
 * What one archive of a base backup consists of, noted as it is stored: the headers of its members as they
 * stand, and the digests of its ranges. With both, the archive can be put together from the files that
 * were unpacked from it, and so a directory be compared with it without reading it.
 */
export class TarRanges {
  readonly ranges = new ObjectRanges();
  readonly #headers = new PackedLines();
  #line: string[] = [];
  #plain = true;

  /** The archive, noted as it is read. */
  watching(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    const watch = new TarWatch(
      [],
      () => {},
      (header) => this.#note(header),
    );
    return watch.through(content);
  }

  #note(header: Uint8Array): void {
    this.#plain &&= PLAIN_TYPES.has(typeOf(header));
    this.#line.push(Buffer.from(header).toString("base64"));
    if (this.#line.length === HEADERS_IN_LINE) this.#endLine();
  }

  #endLine(): void {
    if (this.#line.length > 0) this.#headers.add(JSON.stringify(this.#line));
    this.#line = [];
  }

  /** The lines that tell of it, once all of it has passed. Of an archive with members of other kinds, none. */
  *lines(object: string): Generator<string> {
    if (!this.#plain) return;
    this.#endLine();
    for (const headers of this.#headers.all())
      yield `{"object":${JSON.stringify(object)},"headers":${headers}}\n`;
    for (let first = 0; first < this.ranges.count; first += RANGES_IN_LINE) {
      const ranges: (readonly [number, string])[] = [];
      const end = Math.min(first + RANGES_IN_LINE, this.ranges.count);
      for (let index = first; index < end; index++)
        ranges.push([this.ranges.frame(index), this.ranges.digest(index)]);
      yield `${JSON.stringify({ object, ranges })}\n`;
    }
  }
}
