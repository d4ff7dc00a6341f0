import type { Client } from "pg";
import type { TargetAddress } from "../request.ts";
import { breakable, endConnection } from "./break-connection.ts";
import { connectTarget } from "./connect.ts";

/**
 * Connects for what changes nothing, and takes leave: the signal ends it a moment later, also where the server answers nothing any more.
 * @throws LifeboatError those of `connectTarget`; the signal's reason, and what the question throws
 */
export async function askTarget<Answer>(
  address: TargetAddress,
  signal: AbortSignal,
  question: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  const client = await connectTarget(address, signal);
  try {
    return await breakable(client, signal, () => question(client));
  } finally {
    await endConnection(client);
  }
}
