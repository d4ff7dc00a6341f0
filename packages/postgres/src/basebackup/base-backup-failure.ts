import { LifeboatError, reasonOf } from "@lifeboat/core";

/**
 * Says why a base backup failed, from what the server said.
 * @param notices the warnings that came before, each a line
 */
export function baseBackupFailure(cause: unknown, notices: readonly string[]): LifeboatError {
  if (cause instanceof LifeboatError) return cause;
  const reason = reasonOf(cause);
  const [hint] = notices.slice(-1);
  return new LifeboatError({
    code: "BASE_BACKUP_FAILED",
    message: `the base backup failed: ${reason}${hint ? ` (${hint})` : ""}`,
    remedy: "see the server's log for its side, then run the backup again",
    cause,
  });
}
