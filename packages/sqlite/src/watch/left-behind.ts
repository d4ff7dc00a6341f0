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
