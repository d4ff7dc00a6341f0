import type { Client } from "pg";

/** What runs is cancelled or ends by itself sooner, where the server answers at all. */
const GRACE_MS = 3_000;
/** A server that answers takes leave in less. */
const LEAVE_MS = 2_000;

/** Ends a connection without asking the server: what waits for its answer fails at once. */
export function breakConnection(client: Client): void {
  streamOf(client).destroy();
}

/** Whether it was ended so, or by the server or the network. */
export function isBroken(client: Client): boolean {
  return streamOf(client).destroyed;
}

/**
 * Breaks it a moment after the signal: a server that hangs, or a network that swallows, would keep a stopped command for as long as
 * it likes. Only for work that a broken connection leaves as a kill would.
 * @returns what calls this off
 */
export function breakOnAbort(client: Client, signal: AbortSignal, graceMs = GRACE_MS): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const arm = () => {
    timer = setTimeout(() => breakConnection(client), graceMs);
  };
  const callOff = () => {
    signal.removeEventListener("abort", arm);
    client.removeListener("end", callOff);
    clearTimeout(timer);
  };
  if (signal.aborted) arm();
  else signal.addEventListener("abort", arm, { once: true });
  client.once("end", callOff);
  return { [Symbol.dispose]: callOff };
}

/**
 * Does work that the signal breaks off a moment later, as a kill would, where the server does not answer.
 * @throws the signal's reason where the connection was broken for it
 */
export async function breakable<Result>(
  clients: Client | readonly Client[],
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  using breakers = new DisposableStack();
  const all = [clients].flat();
  for (const client of all) breakers.use(breakOnAbort(client, signal));
  try {
    return await work();
  } catch (cause) {
    throw signal.aborted && all.some(isBroken) ? signal.reason : cause;
  }
}

/** Takes leave of the server, and does not wait for one that says nothing. */
export async function endConnection(client: Client): Promise<void> {
  const timer = setTimeout(() => breakConnection(client), LEAVE_MS);
  try {
    await client.end();
  } finally {
    clearTimeout(timer);
  }
}

function streamOf(client: Client): { destroy(): void; readonly destroyed: boolean } {
  return (client as unknown as { connection: { stream: { destroy(): void; destroyed: boolean } } })
    .connection.stream;
}
