import { readdirSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";

const LOWER = constants.priority.PRIORITY_BELOW_NORMAL;

/**
 * Leaves the processor to whoever else wants it, for the rest of this process: what it does is long, and the product beside it
 * serves people. It can't be taken back without rights, so no process that later holds the product still may do this. The threads
 * that it starts from here on, and the programs, do the same. Whoever is as low already, by `nice` or a service manager, stays there.
 */
export function giveWay(): void {
  if (getPriority() < LOWER) setPriority(LOWER);
  // Linux keeps a priority for each thread, and those that compress and hash may be there already.
  for (const thread of otherThreads()) lower(thread);
}

function otherThreads(): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc/self/task").map(Number);
}

function lower(thread: number): void {
  try {
    if (getPriority(thread) < LOWER) setPriority(thread, LOWER);
  } catch (thrown) {
    // It ended meanwhile.
    if ((thrown as { code?: string }).code !== "ERR_SYSTEM_ERROR" || !hasEnded(thrown))
      throw thrown;
  }
}

function hasEnded(thrown: unknown): boolean {
  return (thrown as { info?: { code?: string } }).info?.code === "ESRCH";
}
