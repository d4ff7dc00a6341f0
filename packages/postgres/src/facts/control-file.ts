import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { ServerFacts } from "./server-facts.ts";

/** Offsets in `ControlFileData` (the server's `catalog/pg_control.h`), the same in all supported versions. */
const STATE_OFFSET = 16;
const CHECKPOINT_OFFSET = 32;
const NEEDED_BYTES = 40;
/** `DBState`: in archive recovery, in production. */
const IN_RECOVERY = 5;
const IN_PRODUCTION = 6;

/** What a data directory's `global/pg_control` says of its cluster and of its server. */
export interface ControlFile {
  readonly systemIdentifier: string;
  readonly state: number;
  /** Where its last checkpoint lies. */
  readonly checkpoint: bigint;
}

/** @throws the system's error when there is no such file or it may not be read */
export async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  const path = join(dataDirectory, "global", "pg_control");
  // Of a pipe in its place nothing is waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(NEEDED_BYTES), 0, NEEDED_BYTES, 0);
    if (bytesRead < NEEDED_BYTES) throw new Error(`${path} is cut short`);
    return {
      systemIdentifier: buffer.readBigUInt64LE(0).toString(),
      state: buffer.readUInt32LE(STATE_OFFSET),
      checkpoint: buffer.readBigUInt64LE(CHECKPOINT_OFFSET),
    };
  } finally {
    await file.close();
  }
}

/** Whether a server that runs may have left its directory in this state: a standby's is in recovery, a primary's in production. */
export function fitsState({ state }: ControlFile, { inRecovery }: ServerFacts): boolean {
  return state === (inRecovery ? IN_RECOVERY : IN_PRODUCTION);
}
