import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Repository } from "@lifeboat/core";
import { PUSH_DIRECTORY, PushServer } from "./push-server.ts";
import { startDetached } from "./start-detached.ts";
import { readSystemIdentifier } from "./system-identifier.ts";

/** So many files that wait are worth a process that pushes several at once; fewer are gone before it has started. */
const LEAST_WAITING = 4;
const IDLE_MS = 30_000;
const POLL_MS = 250;

export interface PushAhead {
  readonly repository: Repository;
  /** Absolute. */
  readonly dataDirectory: string;
  readonly maxBacklog?: number | undefined;
  /** How long nothing may be asked for before this ends. */
  readonly idleMs?: number;
  readonly signal: AbortSignal;
}

/**
 * Pushes for the archiver as a watch does, several files at once, until it has asked for nothing for a while: the
 * asynchronous pusher of a server without a watch. Only whoever asks through the pipes is faster for it, as the
 * archive_command does that `doctor` prints.
 */
export async function pushAhead(request: PushAhead): Promise<void> {
  const { repository, dataDirectory, maxBacklog, signal, idleMs = IDLE_MS } = request;
  if (await isPushing(dataDirectory)) return;
  const folder = repository.folder("postgres", await readSystemIdentifier(dataDirectory));
  const server = await PushServer.open({
    ...{ folder, dataDirectory, maxBacklog },
    onStored() {},
    // Whoever asked starts the program itself, which says why, in the server's log.
    onFailure() {},
  });
  try {
    while (!signal.aborted && server.idleMs < idleMs)
      await delay(POLL_MS, undefined, { signal }).catch(() => {});
  } finally {
    await server.close();
  }
}

/**
 * Starts such a process where the archiver lags and nobody pushes for it yet. That none could be started is no failure:
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

/** Whether a living process pushes for the archiver: a watch, or one that was started so. */
export async function isPushing(dataDirectory: string): Promise<boolean> {
  const text = await readFile(join(dataDirectory, PUSH_DIRECTORY, "pid"), "utf8").catch(() => "");
  const pid = Number(text.trim());
  if (!(Number.isSafeInteger(pid) && pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
}
