import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError } from "@lifeboat/core";

/** What the server's processes are called; of version 15 also by its older name. */
const SERVER = /^(postgres|postmaster)$/;

/**
 * The process of the server that runs on a data directory, where its pid file is there; undefined where none does. The number in that file
 * may be another process' since a crash, and that of a server in a container is the container's own: so it is a server of which one
 * works in the directory, as all of its processes do.
 * @throws the system's error where that file cannot be read, which tells nothing
 */
export async function runningServer(dataDirectory: string): Promise<number | undefined> {
  const text = await readFile(join(dataDirectory, "postmaster.pid"), "utf8").catch(noFile);
  const pid = Number.parseInt(text, 10);
  if (!(pid > 0)) return undefined;
  const works = isAlive(pid) ? await worksIn(pid, dataDirectory) : false;
  // Somebody else's process, or no /proc: it may be the server.
  return works === undefined || works ? pid : serverIn(dataDirectory);
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

/** Told by the directory itself: in a container it has another name. Undefined where it is not for us to see. */
async function worksIn(pid: number, dataDirectory: string): Promise<boolean | undefined> {
  try {
    const [place, own] = await Promise.all([stat(`/proc/${pid}/cwd`), stat(dataDirectory)]);
    return place.dev === own.dev && place.ino === own.ino;
  } catch {
    return undefined;
  }
}

async function serverIn(dataDirectory: string): Promise<number | undefined> {
  const names = await readdir("/proc").catch((): string[] => []);
  for (const pid of names.filter((name) => /^\d+$/.test(name)).map(Number)) {
    const called = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
    if (SERVER.test(called.trimEnd()) && (await worksIn(pid, dataDirectory))) return pid;
  }
  return undefined;
}
