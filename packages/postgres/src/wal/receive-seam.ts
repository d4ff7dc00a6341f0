import { createHash } from "node:crypto";
import type { DatabaseFolder } from "@lifeboat/core";
import { readSegment } from "./archived-segment.ts";
import { isSegmentDamage } from "./log-archive.ts";
import { formatLsn, type Lsn } from "./lsn.ts";
import { RECORD_HEADER } from "./mark.ts";
import { walParted } from "./parted.ts";
import type { ReceiveStart } from "./receive-start.ts";
import { RecordScanner } from "./record-scanner.ts";

const PAGE_BYTES = 8192;

/**
 * Where a stream joins what is archived: the first record that comes has to name the last one that is there, and what was shipped of
 * the segment under way has to come again. Nothing is durable of a stream that is not proved so: a server that was put back to an
 * older state may have written past the archive's end meanwhile.
 */
export class ReceiveSeam {
  readonly #position: Lsn;
  #join: RecordScanner | undefined;
  #again: { readonly wanted: string; missing: number } | undefined;
  readonly #hash = createHash("sha256");
  /** The end of what came. */
  #received: Lsn;

  private constructor(start: ReceiveStart) {
    this.#position = start.position;
    this.#received = start.position;
  }

  /** What is damaged proves nothing: `verify` names it. */
  static async read(
    folder: DatabaseFolder,
    start: ReceiveStart,
    segmentBytes: number,
  ): Promise<ReceiveSeam> {
    const seam = new ReceiveSeam(start);
    const { part, before } = start.archived;
    try {
      if (part) {
        const hash = createHash("sha256");
        for await (const chunk of folder.readLog(part.name)) hash.update(chunk);
        seam.#again = { wanted: hash.digest("hex"), missing: part.offset };
      }
      if (before) {
        const at = start.position - BigInt(segmentBytes);
        const scanner = new RecordScanner({ start: at, segmentBytes });
        for await (const chunk of readSegment(folder, before, segmentBytes)) scanner.push(chunk);
        if (!scanner.broken) seam.#join = scanner;
      }
    } catch (thrown) {
      if (!isSegmentDamage(thrown)) throw thrown;
    }
    return seam;
  }

  /** Whether all that came goes on where the archive ends. */
  get isProved(): boolean {
    return this.#join === undefined && this.#again === undefined;
  }

  /** Takes the next bytes of the stream. @throws LifeboatError `WAL_PARTED` */
  push(bytes: Uint8Array): void {
    if (this.#again) this.#compare(this.#again, bytes);
    this.#received += BigInt(bytes.length);
    const join = this.#join;
    if (!join) return;
    join.push(bytes);
    const joined = join.broken || this.#isJoined(join) ? join : this.#withPageFilled(join);
    const { broken } = joined;
    // What is told by bytes that have not come yet is told by none.
    if (broken && broken.at + BigInt(RECORD_HEADER) <= this.#received)
      throw this.#parted(`${broken.why} at ${formatLsn(broken.at)}`);
    if (this.#isJoined(joined)) this.#join = undefined;
  }

  #isJoined({ lastRecord }: RecordScanner): boolean {
    return lastRecord !== undefined && lastRecord >= this.#position;
  }

  /** A scanner looks at whole pages; a quiet server writes a few bytes of one. */
  #withPageFilled(join: RecordScanner): RecordScanner {
    const fork = join.fork();
    fork.push(new Uint8Array(PAGE_BYTES - Number(this.#received % BigInt(PAGE_BYTES))));
    return fork;
  }

  #compare(again: { readonly wanted: string; missing: number }, bytes: Uint8Array): void {
    const same = bytes.subarray(0, again.missing);
    this.#hash.update(same);
    again.missing -= same.length;
    if (again.missing > 0) return;
    if (this.#hash.digest("hex") !== again.wanted)
      throw this.#parted("what was shipped of its segment is not what the server has there now");
    this.#again = undefined;
  }

  #parted(why: string): Error {
    return walParted(
      `the WAL from ${formatLsn(this.#position)} on does not go on where the archive ends (${why})`,
    );
  }
}
