import { constants, open } from "node:fs/promises";
import type { Account } from "./account.ts";

/** How many flushes are under way at once. */
const AT_ONCE = 16;

/** Makes the entries of directories durable: a file is only safe when the name that leads to it is. */
export async function syncDirectories(directories: readonly string[]): Promise<void> {
  for (let first = 0; first < directories.length; first += AT_ONCE)
    await Promise.all(directories.slice(first, first + AT_ONCE).map(syncOne));
}

async function syncOne(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  await directory.sync().finally(() => directory.close());
}

/**
 * Writes a file, in place of one that is there, and makes it durable. It belongs to the account;
 * its directory is left to the caller.
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array | AsyncIterable<Uint8Array>,
  { account, mode }: { account: Account; mode: number },
): Promise<void> {
  const file = await open(path, "w", mode);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
    if (account.foreign) await file.chown(account.uid, account.gid);
    await file.sync();
  } finally {
    await file.close();
  }
}
