import { runSteps, type StepRunner } from "@lifeboat/core";
import type { GlobalOptions } from "./global-options.ts";
import { plainRunner } from "./plain-progress.ts";

/** How progress is shown: not at all, as it moves on a terminal, or as plain lines. Always on stderr. */
export function progressRunner({ quiet, color }: GlobalOptions): StepRunner {
  if (quiet) return runSteps;
  if (!canRedraw()) return plainRunner((line) => process.stderr.write(`${line}\n`));
  return async (steps) => {
    const { terminalRunner } = await import("./render.ts");
    await terminalRunner({ color: color && !process.env.NO_COLOR })(steps);
  };
}

/** A pseudo-terminal of a script may have no size at all, and what is drawn there would be a mess or nothing. */
function canRedraw(): boolean {
  const { isTTY, columns, rows } = process.stderr;
  return isTTY === true && columns >= 40 && rows >= 5 && process.env.TERM !== "dumb";
}
