import type { Client } from "pg";

/**
 * Each key of a change is looked up in its index, however little is known of the session's tables of keys; and what a plan is
 * believed to cost must not have it compiled, which takes longer than all else.
 */
export async function preferIndexes(client: Client): Promise<void> {
  await client.query("SET jit = off; SET enable_hashjoin = off; SET enable_mergejoin = off");
}

export async function preferWhatIsCheap(client: Client): Promise<void> {
  await client.query("RESET jit; RESET enable_hashjoin; RESET enable_mergejoin");
}
