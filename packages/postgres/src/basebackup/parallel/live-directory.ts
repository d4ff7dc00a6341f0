import type pg from "pg";
import { readControlFile } from "../../facts/control-file.ts";
import { localDirectory } from "../../facts/local-directory.ts";
import type { ServerFacts } from "../../facts/server-facts.ts";
import { formatLsn } from "../../wal/lsn.ts";

/** The server may write a checkpoint between our two looks. */
const LOOKS = 3;

const CHECKPOINT_QUERY = "select checkpoint_lsn::text as lsn from pg_control_checkpoint()";

/**
 * The server's data directory, if the one of that name on this host is the server's very own. A copy of
 * the cluster on this host has the same system identifier and often the same path: told apart by the
 * position of its last checkpoint, which the backup has just made.
 */
export async function liveDirectory(
  client: pg.Client,
  server: ServerFacts,
): Promise<string | undefined> {
  const directory = await localDirectory(server);
  if (directory === undefined) return undefined;
  for (let look = 0; look < LOOKS; look++) {
    const { checkpoint } = await readControlFile(directory);
    const { rows } = await client.query<{ lsn: string }>(CHECKPOINT_QUERY);
    if (rows[0]?.lsn === formatLsn(checkpoint)) return directory;
  }
  return undefined;
}
