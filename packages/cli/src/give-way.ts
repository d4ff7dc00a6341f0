import { readdirSync } from "node:fs";
import { constants, setPriority } from "node:os";

/**
 * Leaves the processor to whoever else wants it, for the rest of this process: what it does is long, and the product beside it
 * serves people. It can't be taken back without rights, so no process that later holds the product still may do this. The threads
 * that it starts from here on, and the programs, do the same.
 */
export function giveWay(): void {
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  // Linux keeps a priority for each thread, and those that compress and hash may be there already.
  for (const thread of otherThreads()) lower(thread);
}

function otherThreads(): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc/self/task").map(Number);
}

function lower(thread: number): void {
  try {
    setPriority(thread, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch (thrown) {
    // It ended meanwhile.
    if ((thrown as { code?: string }).code !== "ERR_SYSTEM_ERROR" || !hasEnded(thrown))
      throw thrown;
  }
}

function hasEnded(thrown: unknown): boolean {
  return (thrown as { info?: { code?: string } }).info?.code === "ESRCH";
}
