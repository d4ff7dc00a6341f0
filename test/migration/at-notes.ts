import type { StepRunner } from "@lifeboat/core";

/** Runs all steps, and does something at each of their notes that matches: what others do while a step is at work. */
export function atNotes(matching: RegExp, act: (note: string) => unknown): StepRunner {
  return async (steps) => {
    for (const step of steps)
      await step.run(({ note = "" }) => {
        if (matching.test(note)) act(note);
      });
  };
}
