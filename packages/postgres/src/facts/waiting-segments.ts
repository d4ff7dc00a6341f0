import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { localDirectory } from "./local-directory.ts";
import type { ServerFacts } from "./server-facts.ts";

/** Segments marked ready for the archiver, oldest first; asked on disk where SQL may not. */
export async function waitingSegments(client: pg.Client, server: ServerFacts): Promise<string[]> {
  const names = await listArchiveStatus(client, server);
  return names
    .filter((name) => name.endsWith(".ready"))
    .map((name) => name.slice(0, -".ready".length))
    .sort();
}

async function listArchiveStatus(client: pg.Client, server: ServerFacts): Promise<string[]> {
  try {
    const { rows } = await client.query<{ name: string }>(
      "select name from pg_ls_archive_statusdir()",
    );
    return rows.map(({ name }) => name);
  } catch (thrown) {
    const directory = await localDirectory(server);
    // A role that may not look (it takes pg_monitor) on another host: then it is not known.
    if (directory === undefined) return [];
    return readdir(join(directory, "pg_wal", "archive_status")).catch(() => {
      throw thrown;
    });
  }
}
