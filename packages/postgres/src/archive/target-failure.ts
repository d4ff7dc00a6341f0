import { LifeboatError } from "@lifeboat/core";

/** Whether a system call failed: the repository's own faults are LifeboatErrors already. */
export function isFaultOfTarget(cause: unknown): cause is NodeJS.ErrnoException {
  return cause instanceof Error && "syscall" in cause && !(cause instanceof LifeboatError);
}

/** What kept WAL from being handed to a copy in recovery. What becomes of the copy, whoever asked for the recovery says. */
export function recoveryUnwritable(path: string, cause: NodeJS.ErrnoException): LifeboatError {
  const full = isFull(cause);
  return new LifeboatError({
    code: full ? "TARGET_FULL" : "TARGET_UNWRITABLE",
    message: `the recovery of ${path} was stopped: WAL could not be written into it: ${cause.message}`,
    remedy: full
      ? "make room there, or name a directory on a larger disk, and run it again"
      : "let this account write there, and run it again",
    details: { path, system: cause.code ?? null },
    cause,
  });
}

function isFull({ code }: NodeJS.ErrnoException): boolean {
  return code === "ENOSPC" || code === "EDQUOT";
}

/** What kept a copy from being built in its place: a full disk, a missing right, a file in the way. */
export function targetFailure(path: string, cause: NodeJS.ErrnoException): LifeboatError {
  const full = isFull(cause);
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
