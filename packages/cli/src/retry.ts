import { setTimeout as pause } from "node:timers/promises";
import { LifeboatError } from "@lifeboat/core/errors";

/** Pauses before the second, third and fourth try: long enough for a mount or a network to come back. */
const PAUSES_MS = [500, 1500, 3000];

/** Tries again what failed, unless the failure is a sure answer (not found, wrong usage). */
export async function retried<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const milliseconds of PAUSES_MS) {
    try {
      return await attempt();
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      if (thrown instanceof LifeboatError && thrown.kind !== "failed") throw thrown;
      await pause(milliseconds, undefined, { signal });
    }
  }
  return attempt();
}
