import { open } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { localDirectory } from "../../local-directory.ts";
import type { ServerFacts } from "../../server-facts.ts";
import { formatLsn } from "../../wal/lsn.ts";

/** Offsets in `ControlFileData` (the server's `catalog/pg_control.h`), the same in all supported versions. */
const STATE_OFFSET = 16;
const CHECKPOINT_OFFSET = 32;
const NEEDED_BYTES = 40;
/** `DBState`: in archive recovery, in production. */
const IN_RECOVERY = 5;
const IN_PRODUCTION = 6;
/** The server may write a checkpoint between our two looks. */
const LOOKS = 3;

const CHECKPOINT_QUERY = "select checkpoint_lsn::text as lsn from pg_control_checkpoint()";

/**
 * The server's data directory, if the one of that name on this host is the server's very own. A standby
 * on this host has the same system identifier and often the same path as its primary elsewhere: told
 * apart by its state and by the position of its last checkpoint, which the backup has just made.
 */
export async function liveDirectory(
  client: pg.Client,
  server: ServerFacts,
): Promise<string | undefined> {
  const directory = await localDirectory(server);
  if (directory === undefined) return undefined;
  for (let look = 0; look < LOOKS; look++) {
    const { state, checkpoint } = await controlOf(directory);
    const { rows } = await client.query<{ lsn: string }>(CHECKPOINT_QUERY);
    const expected = server.inRecovery ? IN_RECOVERY : IN_PRODUCTION;
    if (state === expected && rows[0]?.lsn === formatLsn(checkpoint)) return directory;
  }
  return undefined;
}

async function controlOf(directory: string): Promise<{ state: number; checkpoint: bigint }> {
  const file = await open(join(directory, "global", "pg_control"));
  try {
    const { buffer } = await file.read(Buffer.alloc(NEEDED_BYTES), 0, NEEDED_BYTES, 0);
    return {
      state: buffer.readUInt32LE(STATE_OFFSET),
      checkpoint: buffer.readBigUInt64LE(CHECKPOINT_OFFSET),
    };
  } finally {
    await file.close();
  }
}
