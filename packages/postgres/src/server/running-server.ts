import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError, LifeboatError, reasonOf } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { readOwned } from "../files/owned-file.ts";

const LARGEST = 2 ** 16;

/** What the server's processes are called; of version 15 also by its older name. */
const SERVER = /^(postgres|postmaster)$/;

/**
 * The process of the server that runs on a data directory, where its pid file is there; undefined where none does. The number in that file
 * may be another process' since a crash, and that of a server in a container is the container's own: so it is a server of which one
 * works in the directory, as all of its processes do.
 * @throws the system's error where that file cannot be read, which tells nothing; LifeboatError `PID_FILE_UNFIT` (kind `refused`)
 *   where something else stands in its place
 */
export async function runningServer(dataDirectory: string): Promise<number | undefined> {
  const pid = Number.parseInt(await readPidFile(join(dataDirectory, "postmaster.pid")), 10);
  if (!(pid > 0)) return undefined;
  const works = isAlive(pid) ? await worksIn(pid, dataDirectory) : false;
  // Somebody else's process, or no /proc: it may be the server.
  return works === undefined || works ? pid : serverIn(dataDirectory);
}

/** Some hundred bytes; the directory is another account's, which could have us wait for a pipe or read a device without end. */
async function readPidFile(path: string): Promise<string> {
  try {
    return (await readOwned(path, { owner: undefined, mostBytes: LARGEST })).toString();
  } catch (cause) {
    if (isSystemError(cause, "ENOENT") || isSystemError(cause, "ENOTDIR")) return "";
    if ((cause as NodeJS.ErrnoException).code !== undefined) throw cause;
    throw new LifeboatError({
      code: "PID_FILE_UNFIT",
      kind: "refused",
      message: `${path} is not what a server writes: ${reasonOf(cause)}`,
      remedy: `whether a server runs on that directory cannot be told: see what it is (ls -l ${shellWord(path)}), and remove it once none does`,
      details: { path },
      cause,
    });
  }
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
