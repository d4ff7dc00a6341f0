import { setTimeout as sleep } from "node:timers/promises";
import { targetTables } from "../ddl.ts";
import { isLockTaken, tablesBusy } from "../target/hold-tables.ts";
import { type FollowedTable, type FollowInput, followOnce } from "./follow-once.ts";

const PAUSE_MS = 250;

/**
 * One look that is begun anew where somebody keeps a table from being read, as TRUNCATE and ALTER do. Nothing is held in
 * between, so that whoever waits for a table of ours gets it.
 * @throws LifeboatError `TABLES_IN_USE` when it is not to be had in time, and what {@link followOnce} throws
 */
export async function followPatiently(
  input: FollowInput,
  patienceSeconds: number,
): Promise<FollowedTable[]> {
  const { client, plan, signal } = input;
  const end = performance.now() + patienceSeconds * 1000;
  for (;;) {
    try {
      return await followOnce(input);
    } catch (cause) {
      if (!isLockTaken(cause)) throw cause;
      const relations = targetTables(plan);
      if (performance.now() > end)
        throw await tablesBusy({ client, relations, mode: "ACCESS SHARE", patienceSeconds }, cause);
    }
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => {
      // The signal's own reason says more.
    });
    signal.throwIfAborted();
  }
}
