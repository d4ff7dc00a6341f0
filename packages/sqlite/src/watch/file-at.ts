import { statSync } from "node:fs";

/** Which file lies at a path, as a name that no other has meanwhile; undefined where none does. */
export function fileAt(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}
