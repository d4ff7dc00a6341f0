import { statfs } from "node:fs/promises";
import { LifeboatError } from "@lifeboat/core";

/**
 * Refuses to begin what the scratch folder's disk cannot hold.
 * @throws LifeboatError `SCRATCH_FULL` (kind `refused`)
 */
export async function assertScratchHolds(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free < bytes)
    throw scratchFull(
      `${folder} has ${free} bytes free, and the dump needs about ${bytes}`,
      folder,
    );
}

export function scratchFull(message: string, folder: string, cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "SCRATCH_FULL",
    kind: cause === undefined ? "refused" : "failed",
    message,
    remedy: "make room there, or set TMPDIR to a folder on a larger disk; nothing was left behind",
    details: { folder },
    cause,
  });
}
