import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { startDetached } from "../server/start-detached.ts";
import { isPushing } from "./push-pipes.ts";

/** So many files that wait are worth a process that pushes several at once; fewer are gone before it has started. */
const LEAST_WAITING = 4;

/**
 * Starts a process that pushes several files at once ({@link pushAhead}) where the archiver lags and nobody pushes for it yet. That none could be started is no failure:
 * what was asked for is stored.
 * @param pushed the file that was pushed just now, which waits no more
 */
export async function startAhead(
  dataDirectory: string,
  pushed: string,
  command: readonly string[],
): Promise<void> {
  try {
    const names = await readdir(join(dataDirectory, "pg_wal", "archive_status"));
    const own = `${basename(pushed)}.ready`;
    const waiting = names.filter((name) => name.endsWith(".ready") && name !== own);
    if (waiting.length < LEAST_WAITING || (await isPushing(dataDirectory))) return;
    startDetached([...command, dataDirectory]);
  } catch {
    // A directory that cannot be looked at is told by the next push.
  }
}
