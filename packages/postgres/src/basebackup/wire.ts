import { decompress } from "@lifeboat/core";
import type pg from "pg";
import { connectForReplication, hangUp } from "../connection/connection.ts";
import { ArchiveProof } from "./archive-proof.ts";
import { baseBackupCommand } from "./base-backup-command.ts";
import { baseBackupFailure } from "./base-backup-failure.ts";
import { BaseBackupQuery } from "./base-backup-query.ts";
import { namedPages } from "./corrupt-page.ts";
import { incrementalFailure } from "./incremental-failure.ts";
import { isSlowLink } from "./slow-link.ts";
import type { BaseBackup, BaseBackupRequest, Transport } from "./transport.ts";
import { uploadManifest } from "./upload-manifest.ts";

/**
 * The replication protocol's own BASE_BACKUP, spoken on a replication connection (the manual,
 * "Streaming Replication Protocol"). Needs no program of the server's, takes all tablespaces, and
 * incremental backups as well.
 */
export const wireTransport: Transport = {
  name: "wire",

  async takeBaseBackup(request: BaseBackupRequest): Promise<BaseBackup> {
    request.signal.throwIfAborted();
    const client = await connectForReplication(request.connection);
    const notices: string[] = [];
    client.on("notice", (notice) => notices.push(notice.message ?? ""));
    const stop = () => hangUp(client);
    request.signal.addEventListener("abort", stop, { once: true });
    try {
      return await receive(client, request, notices);
    } catch (cause) {
      request.signal.throwIfAborted();
      throw incrementalFailure(cause) ?? baseBackupFailure(cause, notices);
    } finally {
      request.signal.removeEventListener("abort", stop);
      // Hung up rather than ended: a reader that gave up leaves the server in the midst of sending.
      hangUp(client);
    }
  },
};

/** Not with a rate: the server would count what it sends, and not what it reads. */
async function isCompressed({ server, connection, maxRate, signal }: BaseBackupRequest) {
  return server.knowsZstd && maxRate === null && (await isSlowLink(connection, signal));
}

/** Each chunk in memory of its own, for readers that ask for the next before they are done with it. */
async function* copied(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) yield Buffer.from(chunk);
}

async function receive(
  client: pg.Client,
  request: BaseBackupRequest,
  notices: readonly string[],
): Promise<BaseBackup> {
  const { parentManifest } = request;
  if (parentManifest) await uploadManifest(client, parentManifest);
  const compressed = await isCompressed(request);
  const query = new BaseBackupQuery({
    command: baseBackupCommand({ ...request, incremental: parentManifest !== null, compressed }),
    socket: client.connection.stream,
    report: request.report,
  });
  client.query(query);
  const proof = new ArchiveProof();
  for await (const archive of query.archives()) {
    const content = compressed ? decompress(copied(archive.content)) : archive.content;
    await request.archive(proof.watching({ ...archive, content }));
  }
  const backup = query.backup();
  proof.assertHolds(backup.manifest);
  return query.corrupt ? { ...backup, corruptPages: namedPages(notices) } : backup;
}
