import { descendants, tryKill } from "../support/kill-tree.ts";

/**
 * Comes with Ctrl-C or SIGTERM. A terminal tells every process of its group, so what a soak has under way has lost its programs then, and
 * can't be proved any more.
 */
export function askedToStop(): AbortSignal {
  const asked = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => asked.abort(new Error(`stopped by ${signal}`)));
  return asked.signal;
}

/** Ends the process with what still runs below it: exit status 1 where anything was wrong. */
export async function endSoak(faults: readonly string[]): Promise<never> {
  for (const pid of await descendants(process.pid)) tryKill(pid);
  process.exit(faults.length > 0 ? 1 : 0);
}
