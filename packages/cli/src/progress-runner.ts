import { runSteps, type StepRunner } from "@lifeboat/core";
import type { GlobalOptions } from "./global-options.ts";
import { plainRunner } from "./plain-progress.ts";

/** How progress is shown: not at all, as it moves on a terminal, or as plain lines. Always on stderr. */
export function progressRunner({ quiet, color }: GlobalOptions): StepRunner {
  if (quiet) return runSteps;
  const isTerminal = process.stderr.isTTY === true && process.env.TERM !== "dumb";
  if (!isTerminal) return plainRunner((line) => process.stderr.write(`${line}\n`));
  return async (steps) => {
    const { terminalRunner } = await import("./render.ts");
    await terminalRunner({ color: color && !process.env.NO_COLOR })(steps);
  };
}
