import { statSync } from "node:fs";

/** Device and inode of the file at a path, which tell whether two mean the same one; undefined where none is. Asking opens nothing. */
export function fileAt(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}
