import { type DatabaseFolder, type Finding, LifeboatError } from "@lifeboat/core";
import type pg from "pg";
import { readArchiver } from "../facts/archiver.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { logName, parseWalFileName } from "../wal/segment-name.ts";

/**
 * An archive_command that succeeds, and whose files are not in this repository: `true`, a `cp` to a folder of old, another
 * repository's. To the server all is well, and nothing after the newest backup can be restored from here.
 * @param folder null while there is no repository
 */
export async function elsewhereFinding(
  client: pg.Client,
  server: ServerFacts,
  folder: DatabaseFolder | null,
): Promise<Finding[]> {
  if (!server.archiving || folder?.database !== server.systemIdentifier) return [];
  const { lastArchivedWal: last, lastArchivedTime: at } = await readArchiver(client);
  if (last === null || !parseWalFileName(last) || (await isThere(folder, last))) return [];
  return [
    {
      id: "archive-elsewhere",
      severity: "error",
      summary: `the server archived ${last}${at ? ` at ${at.toISOString()}` : ""}, and it is not in this repository: archive_command stores elsewhere, or nothing`,
      remedy:
        "set the archive_command that lifeboat doctor prints (once it is set: select pg_switch_wal()), and take a backup",
    },
  ];
}

/** Of a repository that cannot be asked nothing is known here; that it cannot be is said by whoever opened it. */
async function isThere(folder: DatabaseFolder, name: string): Promise<boolean> {
  try {
    return (await folder.statLog(logName(name))) !== undefined;
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return true;
    throw thrown;
  }
}
