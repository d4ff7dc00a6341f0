import { LifeboatError } from "@lifeboat/core/errors";
import type { StopSignal } from "./stop-signal.ts";

/** PostgreSQL reads any status up to 125 of a restore_command as the end of the archive. */
const STOP_RECOVERY = 126;

/**
 * The exit status for a failure of a verb. The contract's table, decided here and nowhere else.
 * @param verb its name, undefined when the failure came before one was known
 * @param stop the signal that ended the run
 */
export function exitStatus(
  thrown: unknown,
  verb: string | undefined,
  stop: StopSignal | undefined,
): number {
  // archive_command: above 125 the archiver would end; any other failure is tried again.
  if (verb === "wal push" && stop) return 1;
  if (stop) return stop === "SIGINT" ? 130 : stop === "SIGTERM" ? 143 : 129;
  if (verb === "wal fetch") return isAbsent(thrown) ? 1 : STOP_RECOVERY;
  if (!(thrown instanceof LifeboatError)) return 1;
  switch (thrown.kind) {
    case "failed":
      return 1;
    case "usage":
      return 2;
    case "refused":
      return 3;
    case "locked":
      return 4;
    case "not-found":
      return 5;
  }
}

function isAbsent(thrown: unknown): boolean {
  return thrown instanceof LifeboatError && thrown.code === "WAL_MISSING";
}
