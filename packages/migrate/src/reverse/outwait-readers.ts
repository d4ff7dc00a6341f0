import { setTimeout as sleep } from "node:timers/promises";
import type { Report } from "@lifeboat/core";
import type { FrozenFile } from "./frozen-file.ts";

const PAUSE_MS = 100;
/** A verify reads a large table without a key in one look, and begins no other once the journal speaks of a rollback. */
const PATIENCE_MS = 60_000;

/**
 * Waits until nobody reads the frozen file, where it is in rollback-journal mode: else the commit of the last changes would wait for a reader
 * while Postgres refuses the product's writes. Whoever reads on for longer is met by the usual patience of a commit.
 */
export async function outwaitReaders(
  file: FrozenFile,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!file.isFree() && performance.now() < end) {
    report({ note: "waiting for another process that reads the SQLite file" });
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => {
      // The signal's own reason says more.
    });
    signal.throwIfAborted();
  }
}
