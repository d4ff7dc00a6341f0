import { orStopped } from "./or-stopped.ts";

/** A run that chance leads, on processes of its own. */
export interface RandomRun<Report> {
  /** Looks for what is left behind, once all rounds are over. */
  conclude(): Promise<void>;
  report(): Report;
  /** Ends all that it started. */
  end(): Promise<void>;
}

export interface Rounds {
  readonly rounds: number;
  say?(line: string): void;
  /** Ends it in the midst of a round, of which nothing is told then. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Goes through the rounds of a run, or as many as there are until it is asked to stop, and leaves nothing running.
 * @param round gives the line that is said after it
 */
export async function inRounds<Report>(
  run: RandomRun<Report>,
  { rounds, say, signal }: Rounds,
  round: (number: number) => Promise<string>,
): Promise<Report> {
  const work = async () => {
    for (let number = 1; number <= rounds; number++) {
      const line = await round(number);
      say?.(line);
    }
    await run.conclude();
  };
  try {
    await orStopped(work(), signal);
    return run.report();
  } finally {
    await run.end();
  }
}
