import { readFileSync, statSync } from "node:fs";
import { isSystemError } from "@lifeboat/core";

/** A lock that a process has on some bytes of a file. */
export interface ListedLock {
  readonly pid: number;
  readonly mode: "READ" | "WRITE";
  readonly first: number;
  readonly last: number;
}

/**
 * The POSIX locks on a file that the kernel lists, of all processes of this pid namespace; none where there is no list (other systems
 * than Linux), or no such file. The kernel makes the list while everybody who locks a file stands still.
 */
export function locksOn(path: string): ListedLock[] {
  const inode = statSync(path, { throwIfNoEntry: false })?.ino;
  const found: ListedLock[] = [];
  if (inode === undefined) return found;
  for (const line of list().split("\n")) {
    // "12: POSIX  ADVISORY  WRITE 4711 fe:01:123456 120 120"; "->" is one that waits.
    const [, kind, , mode, pid = "", file, first, last] = line.trim().split(/\s+/);
    if (kind !== "POSIX" || file?.split(":").at(-1) !== String(inode)) continue;
    if (mode === "READ" || mode === "WRITE")
      // A lock up to the end of the file ends at "EOF".
      found.push({
        ...{ pid: Number(pid), mode, first: Number(first) },
        last: last === "EOF" ? Number.POSITIVE_INFINITY : Number(last),
      });
  }
  return found;
}

function list(): string {
  try {
    return readFileSync("/proc/locks", "utf8");
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT") || isSystemError(thrown, "EACCES")) return "";
    throw thrown;
  }
}
