import { LifeboatError } from "@lifeboat/core";

/** The journal is not where this run left it. */
export function takenOver(): LifeboatError {
  return new LifeboatError({
    code: "TAKEN_OVER",
    message: "another run has moved the migration on",
    remedy: "see lifeboat migrate status",
  });
}

export function isTakenOver(cause: unknown): boolean {
  return cause instanceof LifeboatError && cause.code === "TAKEN_OVER";
}
