import { LifeboatError } from "@lifeboat/core";
import type pg from "pg";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { describeServer } from "../facts/server-facts.ts";
import { waitingSegments } from "../facts/waiting-segments.ts";
import type { ArchiveHole } from "../log/hole.ts";
import { segmentAt } from "../wal/segment-name.ts";
import { keptFrom } from "./receiver-status.ts";
import type { ArchiveChoice } from "./watch-server.ts";

/**
 * Whether the server still has a segment that the repository lacks, for its archiver or for our receiver: then it comes after those
 * that a backup has streamed for itself meanwhile. Of a server that cannot be asked nothing comes, as far as anybody knows.
 */
export async function isStillToCome(
  connection: ServerConnection,
  { mode }: ArchiveChoice,
  hole: ArchiveHole,
): Promise<boolean> {
  const isKept = mode === "receive" ? keepsForReceiver : waitsForArchiver;
  try {
    return await withClient(connection, (client) => isKept(client, hole));
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return false;
    throw thrown;
  }
}

async function waitsForArchiver(client: pg.Client, { name, database }: ArchiveHole) {
  const server = await describeServer(client);
  if (server.systemIdentifier !== database) return false;
  return (await waitingSegments(client, server)).some((waiting) => waiting.name === name);
}

async function keepsForReceiver(client: pg.Client, { number, database }: ArchiveHole) {
  const { systemIdentifier, walSegmentBytes } = await describeServer(client);
  const kept = systemIdentifier === database ? await keptFrom(client) : undefined;
  return kept !== undefined && segmentAt(kept, walSegmentBytes) <= number;
}
