import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Asks a process to stop, and waits until it has. */
export async function stopped(
  child: ChildProcess,
  signal: NodeJS.Signals = "SIGTERM",
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}
