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
      "bring it to a timeline of its own: stop it, touch recovery.signal in its data directory, start it with restore_command = 'false' (it opens by itself), and take a backup; what the repository holds of the time before stays",
  });
}
