import { LifeboatError } from "@lifeboat/core";

/**
 * A server that was put back to an older state, by a snapshot of its disk or a copy of its files, writes other WAL under names that
 * are taken: no recovery leads from the one into the other, and a server in recovery takes the seam for the end.
 */
export function walParted(message: string): LifeboatError {
  return new LifeboatError({
    code: "WAL_PARTED",
    kind: "refused",
    message: `${message}: the server was put back to an older state, and goes on under the same names`,
    remedy:
      "give it a repository, or an app, of its own in the configuration, set the archive_command that lifeboat doctor prints then, and take a backup: what lies here of the time before stays as it is",
  });
}
