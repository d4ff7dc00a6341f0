import { readdir } from "node:fs/promises";
import { isSystemError, LifeboatError } from "@lifeboat/core";
import { versionFolder } from "./version-folder.ts";

/**
 * Refuses to replay a CREATE TABLESPACE whose place is in use on this host. The server makes the tablespace again where the
 * original made it, whatever the copy's own were mapped to; and in recovery it takes a folder of its version that lies there already
 * for what it made itself (`create_tablespace_directories`). Beside the living original it would write into its files, and over
 * those of a dead one it would keep pages that are newer than the target.
 * @param location from the WAL's record; empty for one that was made in place
 * @throws LifeboatError `TABLESPACE_IN_USE` (kind `refused`)
 */
export async function assertPlaceUnused(location: string, major: number): Promise<void> {
  if (location === "" || !(await isInUse(location, major))) return;
  throw new LifeboatError({
    code: "TABLESPACE_IN_USE",
    kind: "refused",
    message: `the WAL that is to be replayed makes a tablespace at ${location}, which the backup does not have yet, and a tablespace of version ${major} lies there on this host: the copy would write into its files`,
    remedy:
      "recover from a backup that has it (lifeboat backup takes one, and maps its tablespaces), to an instant before it was made, or on another host; where no server needs any more what lies there, move it away first",
    details: { path: location },
  });
}

/** What cannot be looked into may be anything. */
async function isInUse(location: string, major: number): Promise<boolean> {
  const own = versionFolder(major);
  try {
    return (await readdir(location)).some((name) => own.test(name));
  } catch (cause) {
    return !isSystemError(cause, "ENOENT");
  }
}
