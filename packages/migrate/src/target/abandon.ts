import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { targetError } from "./target-error.ts";

/** Leaves nothing of a transaction that failed. */
export async function abandon(client: Client): Promise<void> {
  try {
    await client.query("ROLLBACK");
  } catch (cause) {
    // Without its connection there is no transaction either; the first failure is the one to tell.
    if (!(targetError(cause) instanceof LifeboatError)) throw cause;
  }
}
