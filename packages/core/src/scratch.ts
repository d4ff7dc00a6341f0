import { access, chmod, lstat, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LifeboatError, reasonOf } from "./errors.ts";
import { ownProcessMark, processOfMarkIsGone } from "./process-mark.ts";

const PREFIX = "lifeboat-scratch-";

/** Lies in a scratch directory that somebody asked to keep: it outlives the process that made it. */
const KEPT = ".kept";

/**
 * A directory for copies that nobody keeps, below the system's temporary directory. Its name carries
 * our process' mark, so what a killed run left is removed by the next one. It can be passed through
 * by other accounts (a server that we start runs as another one) but not looked into.
 * @throws LifeboatError `SCRATCH_UNUSABLE` where nothing can be made there, such as when TMPDIR names no directory
 */
export async function makeScratch(): Promise<string> {
  try {
    await removeAbandoned();
    const directory = await mkdtemp(join(tmpdir(), `${PREFIX}${ownProcessMark()}-`));
    await chmod(directory, 0o711);
    return directory;
  } catch (cause) {
    throw new LifeboatError({
      code: "SCRATCH_UNUSABLE",
      message: `cannot make a scratch directory in ${tmpdir()}: ${reasonOf(cause)}`,
      remedy: "set TMPDIR to a directory that this account can write",
      cause,
    });
  }
}

/** From now on the directory is the engineer's: no later run takes it for what a killed one left. */
export async function keepScratch(directory: string): Promise<void> {
  await writeFile(join(directory, KEPT), "");
}

async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const mark = name.slice(PREFIX.length, name.lastIndexOf("-"));
    const directory = join(tmpdir(), name);
    if (!processOfMarkIsGone(mark) || !(await isOurs(directory)) || (await isKept(directory)))
      continue;
    await rm(directory, { recursive: true, force: true });
  }
}

/** What another account left is its own to remove: we may not, or as root would be led by its links. */
async function isOurs(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found?.uid === process.geteuid?.();
}

/** Of one that we may not look into it cannot be said, and we could not remove it either. */
async function isKept(directory: string): Promise<boolean> {
  return access(join(directory, KEPT)).then(
    () => true,
    (cause: NodeJS.ErrnoException) => cause.code !== "ENOENT",
  );
}
