import { setTimeout as delay } from "node:timers/promises";

/**
 * Calls `step` at `rate` times a second, one after the other, until aborted or `seconds` are over.
 * When the database is slower than the rate, it goes as fast as the database does.
 */
export async function atRate(
  pace: { readonly rate: number; readonly seconds: number | null },
  signal: AbortSignal,
  step: () => Promise<void>,
): Promise<void> {
  const start = performance.now();
  const end = pace.seconds === null ? Number.POSITIVE_INFINITY : start + pace.seconds * 1_000;
  for (let count = 0; !signal.aborted && performance.now() < end; count++) {
    await step();
    const wait = start + ((count + 1) * 1_000) / pace.rate - performance.now();
    // Also without a wait the event loop must turn, or no signal is ever heard.
    await delay(Math.max(0, wait), undefined, { signal }).catch(ignoreAbort);
  }
}

function ignoreAbort(thrown: unknown): void {
  if (!(thrown instanceof Error && thrown.name === "AbortError")) throw thrown;
}
