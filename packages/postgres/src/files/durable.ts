import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { syncDirectory } from "@lifeboat/core";
import type { Account } from "./account.ts";

/** How many flushes are under way at once. */
const AT_ONCE = 16;

/** Makes the names in many directories durable. */
export async function syncDirectories(directories: readonly string[]): Promise<void> {
  for (let first = 0; first < directories.length; first += AT_ONCE)
    await Promise.all(directories.slice(first, first + AT_ONCE).map(syncDirectory));
}

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants;
/** Another account may write in that directory: a link that it put there is not followed, and no pipe waited for. */
const IN_PLACE = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK;

/**
 * Writes a file, in place of one that is there, and makes it durable. It belongs to the account;
 * its directory is left to the caller.
 * @throws the system's error: ELOOP where a symbolic link bears the name
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { account, mode }: { account: Account; mode: number },
): Promise<void> {
  const file = await open(path, IN_PLACE, mode);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
    if (account.foreign) await file.chown(account.uid, account.gid);
    await file.sync();
  } finally {
    await file.close();
  }
}
