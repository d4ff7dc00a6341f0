import type { Step } from "./progress.ts";

/**
 * What a step is for, in words that a runbook prints. The operation builds what it runs from the same list, so that
 * the runbook can't tell of steps that are not there.
 */
export interface DescribedStep<Id extends string = string> {
  readonly id: Id;
  /** A short phrase, lower case: what the run shows and its record holds. */
  readonly title: string;
  /** Why it is there and what it does; whole sentences. */
  readonly purpose: string;
  /** What is seen when it went well. */
  readonly expected: string;
  /** What state a failure leaves, and what to do then. */
  readonly onFailure: string;
}

/** The steps as they are run: each of the list by the function for its id, so that none can be left out. */
export function stepsOf<Id extends string>(
  list: readonly DescribedStep<Id>[],
  runs: Readonly<Record<Id, Step["run"]>>,
): Step[] {
  return list.map(({ id, title }) => ({ title, run: runs[id] }));
}
