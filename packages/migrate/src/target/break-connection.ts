import type { Client } from "pg";

/** What runs is cancelled or ends by itself sooner, where the server answers at all. */
const GRACE_MS = 3_000;

/** Ends a connection without asking the server: what waits for its answer fails at once. */
export function breakConnection(client: Client): void {
  (
    client as unknown as { connection: { stream: { destroy(): void } } }
  ).connection.stream.destroy();
}

/**
 * Breaks it a moment after the signal: a server that hangs, or a network that swallows, would keep a stopped command for as long as
 * it likes. Only for work that a broken connection leaves as a kill would.
 */
export function breakOnAbort(client: Client, signal: AbortSignal): void {
  let timer: NodeJS.Timeout | undefined;
  const arm = () => {
    timer = setTimeout(() => breakConnection(client), GRACE_MS);
  };
  if (signal.aborted) arm();
  else signal.addEventListener("abort", arm, { once: true });
  client.once("end", () => {
    signal.removeEventListener("abort", arm);
    clearTimeout(timer);
  });
}
