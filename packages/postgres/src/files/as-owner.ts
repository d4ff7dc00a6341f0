import { execa } from "execa";
import { type Account, ownAccount, runAs, unprivilegedOwner } from "./account.ts";

/**
 * Runs a few lines of shell as the account that owns a data directory; where we are no root, as ourselves.
 * What is made or written below a directory in which that account writes is made by itself: it could put a link in our
 * way at any moment, and gets into no place so that it could not get into without us.
 * @throws an Error with the system's words
 */
export async function shellAsOwner(
  dataDirectory: string,
  script: string,
  args: readonly string[],
  input = "",
): Promise<void> {
  const { failed, stderr, shortMessage } = await execa("sh", ["-c", script, "sh", ...args], {
    ...runAs(await ownerAccount(dataDirectory)),
    input,
    reject: false,
  });
  if (failed) throw new Error(stderr.trim() || shortMessage);
}

/** Ourselves where we are no root, or where root owns it. */
export async function ownerAccount(dataDirectory: string): Promise<Account> {
  const own = ownAccount();
  return (own.uid === 0 ? await unprivilegedOwner(dataDirectory) : undefined) ?? own;
}
