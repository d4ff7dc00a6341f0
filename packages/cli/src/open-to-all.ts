import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Finding } from "@lifeboat/core";

/** Whether every account may enter a directory: it and all above it can be passed through. */
export async function isOpenToAll(directory: string): Promise<boolean> {
  for (let here = directory; ; here = dirname(here)) {
    const { mode } = await stat(here);
    if ((mode & 0o001) === 0) return false;
    if (dirname(here) === here) return true;
  }
}

/**
 * A server runs `archive_command` and `restore_command` as its own account, which is never root: says
 * so when this command lies where only root can reach it.
 */
export async function commandUnreachable(command: readonly string[]): Promise<Finding[]> {
  if (process.getuid?.() !== 0) return [];
  for (const file of command)
    if (!(await isOpenToAll(dirname(file))))
      return [
        {
          id: "command-unreachable",
          severity: "warning",
          summary: `Postgres' account cannot run ${file}: a folder above it is closed to other accounts`,
          remedy:
            "install Lifeboat in a folder that all accounts may enter (chmod o+x), or recovery and archiving stop with an error",
        },
      ];
  return [];
}
