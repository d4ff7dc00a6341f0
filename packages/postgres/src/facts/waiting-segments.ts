import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError } from "@lifeboat/core";
import type pg from "pg";
import { localDirectory } from "./local-directory.ts";
import type { ServerFacts } from "./server-facts.ts";

export interface WaitingSegment {
  readonly name: string;
  /** When the archiver was told of it. */
  readonly since: Date;
}

/** Segments marked ready for the archiver, oldest first; asked on disk where SQL may not. */
export async function waitingSegments(
  client: pg.Client,
  server: ServerFacts,
): Promise<WaitingSegment[]> {
  const marks = await listArchiveStatus(client, server);
  return marks
    .filter(({ name }) => name.endsWith(READY))
    .map(({ name, since }) => ({ name: name.slice(0, -READY.length), since }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const READY = ".ready";

async function listArchiveStatus(
  client: pg.Client,
  server: ServerFacts,
): Promise<WaitingSegment[]> {
  try {
    const { rows } = await client.query<WaitingSegment>(
      "select name, modification as since from pg_ls_archive_statusdir()",
    );
    return rows;
  } catch (thrown) {
    const directory = await localDirectory(server);
    // A role that may not look (it takes pg_monitor) on another host: then it is not known.
    if (directory === undefined) return [];
    return marksIn(join(directory, "pg_wal", "archive_status")).catch(() => {
      throw thrown;
    });
  }
}

async function marksIn(directory: string): Promise<WaitingSegment[]> {
  const marks: WaitingSegment[] = [];
  for (const name of await readdir(directory))
    try {
      marks.push({ name, since: (await stat(join(directory, name))).mtime });
    } catch (cause) {
      // Archived meanwhile.
      if (!isSystemError(cause, "ENOENT")) throw cause;
    }
  return marks;
}
