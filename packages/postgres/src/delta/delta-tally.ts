import type { DeltaCounts } from "@lifeboat/core";

/** Counts what a delta restore keeps and writes, part by part. */
export class DeltaTally {
  #kept = { ranges: 0, bytes: 0 };
  #written = { ranges: 0, bytes: 0 };

  count(what: "kept" | "written", bytes: number): void {
    const side = what === "kept" ? this.#kept : this.#written;
    side.ranges++;
    side.bytes += bytes;
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
