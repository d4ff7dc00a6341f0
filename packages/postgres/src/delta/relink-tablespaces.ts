import { lchown, lstat, mkdir, readlink, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError } from "@lifeboat/core";
import type { Account } from "../files/account.ts";
import { syncDirectories } from "../files/durable.ts";
import { makeParents } from "../places/build-site.ts";
import type { RestorePlaces } from "../places/restore-places.ts";
import { tablespaceLink } from "../places/tablespace-links.ts";
import { removeTree } from "./remove-tree.ts";

/**
 * Leads a standing data directory to the places of its tablespaces, before anything is written there: by
 * these links the next run knows them as its own, whenever this one is killed. Links that are right stay.
 * @returns how many files and links were taken out of the way
 */
export async function relinkTablespaces(
  directory: string,
  tablespaces: RestorePlaces["tablespaces"],
  account: Account,
): Promise<number> {
  let removed = 0;
  const folder = join(directory, "pg_tblspc");
  const found = await lstat(folder).catch(absent);
  if (found && !found.isDirectory()) removed += await removeTree(folder);
  if (!found?.isDirectory()) await mkdir(folder, { mode: 0o700 });
  for (const { tablespace, place } of tablespaces) {
    await makeParents(place, account);
    const link = join(directory, tablespaceLink(tablespace.oid));
    const standing = await lstat(link).catch(absent);
    if (standing?.isSymbolicLink() && (await readlink(link)) === place) continue;
    const made = `${link}.lifeboat-delta`;
    if (await lstat(made).catch(absent)) await removeTree(made);
    await symlink(place, made);
    if (account.foreign) await lchown(made, account.uid, account.gid);
    if (standing) removed += 1;
    if (standing?.isDirectory()) removed += (await removeTree(link)) - 1;
    await rename(made, link);
  }
  await syncDirectories([folder]);
  return removed;
}

function absent(cause: unknown): undefined {
  if (isSystemError(cause, "ENOENT")) return undefined;
  throw cause;
}
