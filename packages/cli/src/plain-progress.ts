import type { StepRunner } from "@lifeboat/core";
import { ProgressLine } from "./progress-line.ts";
import { duration } from "./show/units.ts";

/** A log file wants to know that something moves, not every movement. */
const EVERY_SECONDS = 10;
/** A step that goes on for days says the less often the longer it has. */
const SLOWEST_SECONDS = 600;
const SHARE = 1 / 20;

/**
 * Runs steps and writes a line when each begins and ends, and at times in between.
 * @param now milliseconds that only grow
 */
export function plainRunner(write: (line: string) => void, now?: () => number): StepRunner {
  return async (steps) => {
    for (const { title, run } of steps) {
      const line = new ProgressLine(now);
      let sayAt = EVERY_SECONDS;
      write(`${title} …`);
      await run((progress) => {
        line.take(progress);
        const seconds = line.seconds();
        if (seconds < sayAt) return;
        sayAt = seconds + Math.min(SLOWEST_SECONDS, Math.max(EVERY_SECONDS, seconds * SHARE));
        write(`${title}: ${line.text()}`);
      });
      const text = line.text();
      write(`${title}: done in ${duration(line.seconds())}${text === "" ? "" : ` (${text})`}`);
    }
  };
}
