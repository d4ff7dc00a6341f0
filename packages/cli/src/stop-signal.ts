export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

const SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** What a stop signal does to this run. */
export interface StopSwitch {
  readonly signal: AbortSignal;
  /** The signal that came first. */
  stoppedBy(): StopSignal | undefined;
  /** Gives the signals back to Node. */
  release(): void;
}

/**
 * Turns the first stop signal into an abort, so that whatever runs cleans up. Further ones change
 * nothing: half a clean-up is what an impatient second Ctrl-C must not leave.
 */
export function stopSwitch(): StopSwitch {
  const controller = new AbortController();
  let first: StopSignal | undefined;
  const stop = (signal: StopSignal) => {
    first ??= signal;
    controller.abort(new Error(`stopped by ${signal}`));
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  return {
    signal: controller.signal,
    stoppedBy: () => first,
    release() {
      for (const signal of SIGNALS) process.off(signal, stop);
    },
  };
}
