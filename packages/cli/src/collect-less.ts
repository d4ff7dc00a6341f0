import { setFlagsFromString } from "node:v8";
import type { StepRunner } from "@lifeboat/core";

/** These live for months beside whom they serve. */
const LONG_LIVED = ["watch", "wal receive"];

/**
 * Has the garbage collector wait until there is something to collect. V8 counts the buffers that pass through a backup
 * or a restore as if they were objects, and looks for garbage after every few MB of them, in threads of its own, through a heap of
 * 10 MB in which nothing is. That was a fifth of the CPU; begun as late as can be, a fifteenth. Now it collects only what has
 * reached the heap's limit, in one go. That is a pause which nobody should wait for: where a verb lives long, it still begins
 * late and goes by steps. A migration passes values of any length, one at a time: each of them should be gone before the next.
 *
 * Only while steps run: what V8 keeps compiled, Node's own modules in its program among it, counts for the flags that
 * it was compiled with, and to load those took twice the time under others.
 */
export function collectingLess(verb: string, run: StepRunner): StepRunner {
  if (verb.startsWith("migrate ")) return run;
  const [less, asBefore] = LONG_LIVED.includes(verb)
    ? ["--incremental-marking-soft-trigger=1", "--incremental-marking-soft-trigger=0"]
    : ["--no-incremental-marking", "--incremental-marking"];
  return async (steps) => {
    setFlagsFromString(less);
    try {
      await run(steps);
    } finally {
      setFlagsFromString(asBefore);
    }
  };
}
