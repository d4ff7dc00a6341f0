import { stat } from "node:fs/promises";
import { LifeboatError } from "@lifeboat/core";

/** What changes when a file is written to or replaced. Asking does not open it, so no lock is lost. */
export interface FileIdentity {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly dev: bigint;
  readonly ino: bigint;
}

export async function identityOf(path: string): Promise<FileIdentity> {
  const { size, mtimeNs, dev, ino } = await stat(path, { bigint: true });
  return { size, mtimeNs, dev, ino };
}

/**
 * The second belt beside the lock: a file that was held still looks the same afterwards.
 * @throws LifeboatError `DATABASE_CHANGED`
 */
export async function assertUntouched(path: string, before: FileIdentity): Promise<void> {
  const after = await identityOf(path);
  const same = (Object.keys(before) as (keyof FileIdentity)[]).every(
    (member) => before[member] === after[member],
  );
  if (same) return;
  throw new LifeboatError({
    code: "DATABASE_CHANGED",
    message: `${path} was written to or replaced although it was locked`,
    remedy:
      "some process goes past SQLite's locks (a plain copy over it, another container's view of the file): find and stop it, then back up again",
    details: { path },
  });
}
