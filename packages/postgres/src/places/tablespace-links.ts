import { lchown, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError } from "@lifeboat/core";
import type { Account } from "../files/account.ts";
import { syncDirectories, writeDurably } from "../files/durable.ts";
import { readSmallFile } from "../files/small-file.ts";
import type { RestorePlaces } from "./restore-places.ts";

/** The path of a tablespace's link below the data directory. */
export function tablespaceLink(oid: number): string {
  return `pg_tblspc/${oid}`;
}

/**
 * Links the copy to its tablespaces. `tablespace_map` has to say the same: a server that finds it
 * beside `backup_label` makes the links from it, whatever lies there (manual, 26.3.4). It is
 * rewritten only where it says something else, since it is under the backup manifest's checksum.
 */
export async function linkTablespaces(
  directory: string,
  tablespaces: RestorePlaces["tablespaces"],
  { account, mode }: { account: Account; mode: number },
): Promise<void> {
  await writeTablespaceMap(directory, tablespaces, { account, mode });
  if (tablespaces.length === 0) return;
  const folder = join(directory, "pg_tblspc");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const { tablespace, place } of tablespaces) {
    const link = join(directory, tablespaceLink(tablespace.oid));
    await symlink(place, link);
    if (account.foreign) await lchown(link, account.uid, account.gid);
  }
  await syncDirectories([folder]);
}

/**
 * Says in `tablespace_map` what the links say, unless it does already. That may be less: of a tablespace that was dropped as the
 * backup began the backup has nothing, and a link to where it lay would lead out of the copy.
 */
export async function writeTablespaceMap(
  directory: string,
  tablespaces: RestorePlaces["tablespaces"],
  { account, mode }: { account: Account; mode: number },
): Promise<void> {
  const path = join(directory, "tablespace_map");
  const before = await readSmallFile(path).catch((cause: unknown) => {
    if (isSystemError(cause, "ENOENT")) return undefined;
    throw cause;
  });
  const lines = tablespaces.map(({ tablespace, place }) => `${tablespace.oid} ${escaped(place)}\n`);
  if (before !== undefined && !saysTheSame(String(before), lines))
    await writeDurably(path, lines.join(""), { account, mode });
}

function saysTheSame(text: string, lines: readonly string[]): boolean {
  return (
    text
      .split(/(?<=(?<!\\)\n)/)
      .toSorted()
      .join("") === lines.toSorted().join("")
  );
}

/** As the server escapes it when it writes the file. */
function escaped(path: string): string {
  return path.replace(/[\\\n\r]/g, (character) => `\\${character}`);
}
