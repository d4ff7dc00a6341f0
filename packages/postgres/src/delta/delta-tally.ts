import type { DeltaCounts } from "@lifeboat/core";

/** Counts what a delta restore keeps and writes, part by part. */
export class DeltaTally {
  #kept = { ranges: 0, bytes: 0 };
  #written = { ranges: 0, bytes: 0 };

  /** A part, of which so much stood and so much was written; one of which any was written is a written one. */
  count({ kept, written }: { readonly kept: number; readonly written: number }): void {
    (written > 0 ? this.#written : this.#kept).ranges++;
    this.#kept.bytes += kept;
    this.#written.bytes += written;
  }

  counts(filesRemoved: number): DeltaCounts {
    return {
      rangesKept: this.#kept.ranges,
      rangesWritten: this.#written.ranges,
      bytesKept: this.#kept.bytes,
      bytesWritten: this.#written.bytes,
      filesRemoved,
    };
  }
}
