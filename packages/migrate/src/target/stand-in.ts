import type { Client } from "pg";
import type { TargetAddress } from "../request.ts";
import { breakOnAbort, endConnection, isBroken } from "./break-connection.ts";
import { connectTarget, SESSION_NAME } from "./connect.ts";
import { takeTargetLock } from "./lock.ts";
import { unreachable } from "./unreachable.ts";

/** How long whoever has asked for a stop waits for a new connection, and then for what is done by it. */
const STOPPED_CONNECT_MS = 5_000;
const STOPPED_WORK_MS = 15_000;
/** A session that is told to end does so at once, or is in the midst of a system call. */
const END_SESSION_MS = 5_000;

/** A connection that may be what broke, and the signal at which its server was no longer waited for. */
export interface StoodInFor {
  readonly client: Client;
  readonly address: TargetAddress;
  readonly signal: AbortSignal;
}

/**
 * Takes back on a connection of its own what was begun by another. Where that one broke, its server may still take it for alive: then its
 * session is ended there first, with what it holds, and the migration's lock is taken in its stead. Once the signal has come, no
 * server is waited for that does not answer.
 * @throws LifeboatError `POSTGRES_UNREACHABLE`, `POSTGRES_LOST`, `LOCKED` where another run has come between
 */
export async function standIn<Result>(
  { client: other, address, signal }: StoodInFor,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = await (signal.aborted ? connectSoon(address) : connectTarget(address));
  using _ = breakOnAbort(client, signal, STOPPED_WORK_MS);
  try {
    if (isBroken(other)) {
      await endSession(client, other);
      await takeTargetLock(client);
    }
    return await work(client);
  } finally {
    await endConnection(client);
  }
}

async function connectSoon(address: TargetAddress): Promise<Client> {
  const late = AbortSignal.timeout(STOPPED_CONNECT_MS);
  try {
    return await connectTarget(address, late);
  } catch (cause) {
    if (cause !== late.reason) throw cause;
    throw unreachable(new Error(`it answered nothing for ${STOPPED_CONNECT_MS / 1000} s`));
  }
}

/** By its number, and only where that is still a session of ours. */
async function endSession(client: Client, other: Client): Promise<void> {
  const { processID } = other as Client & { readonly processID: number | null };
  await client.query(
    `SELECT pg_terminate_backend(pid, ${END_SESSION_MS}) FROM pg_stat_activity
     WHERE pid = $1 AND application_name = '${SESSION_NAME}' AND datname = current_database() AND usename = current_user`,
    [processID],
  );
}
