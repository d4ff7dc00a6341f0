import { readFile } from "node:fs/promises";
import { isSystemError } from "@lifeboat/core";

/** Who owns a file: ids, and names where the system knows them. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
  readonly user: string | null;
  readonly group: string | null;
}

export async function ownerOf(ids: { uid: number; gid: number }): Promise<Owner> {
  const [users, groups] = await Promise.all([names("/etc/passwd"), names("/etc/group")]);
  return {
    uid: ids.uid,
    gid: ids.gid,
    user: nameOf(users, ids.uid),
    group: nameOf(groups, ids.gid),
  };
}

/**
 * The ids to give a restored file to: those of the owner's names on this machine, where the same user
 * may have another number, else the numbers.
 */
export async function idsFor(owner: Owner): Promise<{ uid: number; gid: number }> {
  const [users, groups] = await Promise.all([names("/etc/passwd"), names("/etc/group")]);
  return {
    uid: (owner.user === null ? undefined : users.get(owner.user)) ?? owner.uid,
    gid: (owner.group === null ? undefined : groups.get(owner.group)) ?? owner.gid,
  };
}

/** Name → id, from passwd(5) or group(5). */
async function names(file: string): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const line of (await readIfThere(file)).split("\n")) {
    const [name, , id] = line.split(":");
    if (name && id && /^\d+$/.test(id)) found.set(name, Number(id));
  }
  return found;
}

function nameOf(found: ReadonlyMap<string, number>, wanted: number): string | null {
  for (const [name, id] of found) if (id === wanted) return name;
  return null;
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT")) return "";
    throw thrown;
  }
}
