import { LifeboatError, reasonOf } from "@lifeboat/core";

/** A watch was told to stop, and some of the log could not be stored before it had to end. */
export function leftBehind(bytes: number, cause: unknown): LifeboatError {
  const why = cause === undefined ? "in the time that a stop leaves" : `(${reasonOf(cause)})`;
  return new LifeboatError({
    code: "LOG_LEFT_BEHIND",
    message: `${bytes} bytes of the log could not be stored ${why}`,
    remedy:
      "start the watch again soon: it ships them for as long as the app has not checkpointed, and otherwise begins a new lineage",
    details: { bytes },
    cause,
  });
}

/** A watch was told to stop between a hole and the backup with which the log begins anew. */
export function notBegunAnew(hole: string): LifeboatError {
  return new LifeboatError({
    code: "LOG_LEFT_BEHIND",
    message: `the log has a hole since ${hole}, and the backup with which it begins anew was not taken before the stop: what was committed since is not in the repository`,
    remedy: "start the watch again soon, or take a backup: either brings all of it",
    details: { hole },
  });
}
