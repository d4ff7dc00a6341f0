import { setTimeout as delay } from "node:timers/promises";
import type { Repository } from "@lifeboat/core";
import { readSystemIdentifier } from "../files/system-identifier.ts";
import { isPushing } from "./push-pipes.ts";
import { PushServer } from "./push-server.ts";

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
