import type pg from "pg";
import type { Connection, Submittable } from "pg";

const CHUNK_BYTES = 1 << 16;

/** What `pg` offers for CopyIn, and its types do not name. */
interface CopyIn {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/**
 * Gives the server the manifest of the backup that the next BASE_BACKUP of this connection builds on
 * (the manual, "Streaming Replication Protocol": UPLOAD_MANIFEST, since version 17).
 */
export function uploadManifest(client: pg.Client, manifest: Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let failure: unknown;
  const query: Submittable & Record<string, unknown> = {
    submit: (connection: Connection) => connection.query("UPLOAD_MANIFEST"),
    handleCopyInResponse(connection: CopyIn) {
      const bytes = Buffer.from(manifest);
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
        connection.sendCopyFromChunk(bytes.subarray(at, at + CHUNK_BYTES));
      connection.endCopyFrom();
    },
    handleRowDescription() {},
    handleDataRow() {},
    handleCommandComplete() {},
    handleEmptyQuery() {},
    handlePortalSuspended() {},
    handleError(reason: unknown) {
      failure = reason;
    },
    handleReadyForQuery: () => (failure === undefined ? resolve() : reject(failure)),
  };
  client.query(query);
  return promise;
}
