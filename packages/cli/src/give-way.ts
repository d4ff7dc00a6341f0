import { constants, setPriority } from "node:os";

/**
 * Leaves the processor to whoever else wants it, for the rest of this process: what it does is long, and the product beside it
 * serves people. It can't be taken back without rights, so no process that later holds the product still may do this. The threads
 * that it starts from here on do the same.
 */
export function giveWay(): void {
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
}
