import type { Client } from "pg";
import type { TargetAddress } from "../request.ts";
import { connectTarget } from "./connect.ts";

/**
 * Cancels what the server runs for a client as soon as the signal says so: an index build would
 * otherwise be waited for. Dispose of it when the client's work is over.
 */
export async function cancelOnAbort(
  client: Client,
  address: TargetAddress,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  let cancelling: Promise<void> = Promise.resolve();
  const onAbort = () => {
    // Where it cannot be asked the server is gone, and its statements with it; at worst one runs to
    // its end and the abort is seen then. So a failure here is never the one to tell.
    cancelling = cancel(address, rows[0]?.pid ?? 0).catch(() => {});
  };
  signal.addEventListener("abort", onAbort, { once: true });
  return {
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", onAbort);
      await cancelling;
    },
  };
}

async function cancel(address: TargetAddress, pid: number): Promise<void> {
  const other = await connectTarget(address);
  try {
    await other.query("SELECT pg_cancel_backend($1)", [pid]);
  } finally {
    await other.end();
  }
}
