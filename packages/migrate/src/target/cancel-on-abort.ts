import { LifeboatError } from "@lifeboat/core";
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
    cancelling = cancel(address, rows[0]?.pid ?? 0).catch((cause) => {
      // Where no connection can be made the server is gone, and its statements with it.
      if (!(cause instanceof LifeboatError)) throw cause;
    });
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
