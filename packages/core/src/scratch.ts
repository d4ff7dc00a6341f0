import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownProcessMark, processOfMarkIsGone } from "./process-mark.ts";

const PREFIX = "lifeboat-scratch-";

/**
 * A directory for copies that nobody keeps, below the system's temporary directory. Its name carries
 * our process' mark, so what a killed run left is removed by the next one. It can be passed through
 * by other accounts (a server that we start runs as another one) but not looked into.
 */
export async function makeScratch(): Promise<string> {
  await removeAbandoned();
  const directory = await mkdtemp(join(tmpdir(), `${PREFIX}${ownProcessMark()}-`));
  await chmod(directory, 0o711);
  return directory;
}

async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const mark = name.slice(PREFIX.length, name.lastIndexOf("-"));
    if (processOfMarkIsGone(mark)) await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}
