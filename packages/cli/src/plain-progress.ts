import type { StepRunner } from "@lifeboat/core";
import { ProgressLine } from "./progress-line.ts";
import { duration } from "./show/units.ts";

/** A log file wants to know that something moves, not every movement. */
const EVERY_SECONDS = 10;

/** Runs steps and writes a line when each begins and ends, and at times in between. */
export function plainRunner(write: (line: string) => void): StepRunner {
  return async (steps) => {
    for (const { title, run } of steps) {
      const line = new ProgressLine();
      let saidAt = 0;
      write(`${title} …`);
      await run((progress) => {
        line.take(progress);
        if (line.seconds() - saidAt < EVERY_SECONDS) return;
        saidAt = line.seconds();
        write(`${title}: ${line.text()}`);
      });
      const text = line.text();
      write(`${title}: done in ${duration(line.seconds())}${text === "" ? "" : ` (${text})`}`);
    }
  };
}
