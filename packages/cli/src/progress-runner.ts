import { runSteps, type StepRunner } from "@lifeboat/core";
import type { GlobalOptions } from "./global-options.ts";
import { plainRunner } from "./plain-progress.ts";

/** Below it, lines would wrap and could not be redrawn. */
const NARROWEST = 40;

/** How progress is shown: not at all, as it moves on a terminal, or as plain lines. Always on stderr. */
export function progressRunner({ quiet, color }: GlobalOptions): StepRunner {
  if (quiet) return runSteps;
  if (!canRedraw()) return plainRunner((line) => process.stderr.write(`${line}\n`));
  return async (steps) => {
    const { terminalRunner } = await import("./render.ts");
    await terminalRunner({ color: color && !process.env.NO_COLOR })(steps);
  };
}

/** A terminal that says nothing of its width (a pseudo-terminal of a script) would get a word a line. */
function canRedraw(): boolean {
  const { isTTY, columns } = process.stderr;
  return isTTY === true && columns >= NARROWEST && process.env.TERM !== "dumb";
}
