/** What a running step says about itself. Bytes are bytes of the source, not of the repository. */
export interface Progress {
  /** Bytes done so far in this step. */
  readonly bytes?: number;
  /** Bytes that this step will have done at its end, as far as is known. */
  readonly totalBytes?: number | undefined;
  /** A few words on what is happening now; replaces the words before. */
  readonly note?: string;
}

export type Report = (progress: Progress) => void;

/** One step of an operation. Steps run one after the other; the first that throws ends the operation. */
export interface Step {
  /** A short phrase, lower case: "copy the database". */
  readonly title: string;
  run(report: Report): Promise<void>;
}

/** Runs the steps in order. The CLI hands in one that renders them; `runSteps` renders nothing. */
export type StepRunner = (steps: readonly Step[]) => Promise<void>;

export const runSteps: StepRunner = async (steps) => {
  for (const step of steps) await step.run(() => {});
};
