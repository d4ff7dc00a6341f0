import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * Programs that are neither ours nor Node's, and what is proved with each: that what Lifeboat stores
 * and makes is read by others. Without one its tests are left out, and the run says so.
 */
const OUTSIDE = {
  sqlite3: "copies are taken under it as a writer, and restored copies are read by it",
  zstd: "stored objects are unpacked by it",
  tar: "base backups are unpacked by it",
  sha256sum: "stored objects are checked by it",
  python3: "the list of digests is read by it",
} as const;

export type OutsideProgram = keyof typeof OUTSIDE;

/** Whether all of these are installed. */
export function has(...programs: OutsideProgram[]): boolean {
  return programs.every((name) => !missing().includes(name));
}

/** Those that are not installed. */
export function missing(): OutsideProgram[] {
  return (Object.keys(OUTSIDE) as OutsideProgram[]).filter((name) => !isInstalled(name));
}

export function purposeOf(program: OutsideProgram): string {
  return OUTSIDE[program];
}

function isInstalled(name: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      // Not here, or not to be run: the next directory of PATH.
      return false;
    }
  });
}
