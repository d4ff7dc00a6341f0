import { readFile, readlink, realpath } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError } from "@lifeboat/core";

/**
 * The process of the server that runs on a data directory, as its pid file says; undefined where none does.
 * @throws the system's error where that file cannot be read, which tells nothing
 */
export async function runningServer(dataDirectory: string): Promise<number | undefined> {
  const text = await readFile(join(dataDirectory, "postmaster.pid"), "utf8").catch(noFile);
  const pid = Number.parseInt(text, 10);
  if (!(pid > 0) || !isAlive(pid) || (await worksElsewhere(pid, dataDirectory))) return undefined;
  return pid;
}

function noFile(cause: unknown): string {
  if (isSystemError(cause, "ENOENT") || isSystemError(cause, "ENOTDIR")) return "";
  throw cause;
}

/** One that we may not signal runs as well. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return !isSystemError(cause, "ESRCH");
  }
}

/** Pids are given again, and after a crash the file stays: a server works in its data directory. */
async function worksElsewhere(pid: number, dataDirectory: string): Promise<boolean> {
  try {
    return (await readlink(`/proc/${pid}/cwd`)) !== (await realpath(dataDirectory));
  } catch {
    // Somebody else's process, or no /proc: it may be the server.
    return false;
  }
}
