import { LifeboatError } from "@lifeboat/core";

/** Whether a system call failed: the repository's own faults are LifeboatErrors already. */
export function isFaultOfTarget(cause: unknown): cause is NodeJS.ErrnoException {
  return cause instanceof Error && "syscall" in cause && !(cause instanceof LifeboatError);
}

/** What kept a copy from being built in its place: a full disk, a missing right, a file in the way. */
export function targetFailure(path: string, cause: NodeJS.ErrnoException): LifeboatError {
  const full = cause.code === "ENOSPC" || cause.code === "EDQUOT";
  return new LifeboatError({
    code: full ? "TARGET_FULL" : "TARGET_UNWRITABLE",
    message: `${path} could not be restored: ${cause.message}`,
    remedy: full
      ? "make room or name a directory on a larger disk, and run it again: nothing was left behind"
      : "name a directory that this account may write to, and run it again: nothing was left behind",
    details: { path, system: cause.code ?? null },
    cause,
  });
}
