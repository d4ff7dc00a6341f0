import type { Duplex } from "node:stream";
import type pg from "pg";
import type { Connection, Submittable } from "pg";
import type { PackedBytes } from "../packed/bytes.ts";

/** What `pg` offers for CopyIn, and its types do not name. */
interface CopyIn {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/**
 * Gives the server the manifest of the backup that the next BASE_BACKUP of this connection builds on
 * (the manual, "Streaming Replication Protocol": UPLOAD_MANIFEST, since version 17).
 */
export function uploadManifest(client: pg.Client, manifest: PackedBytes): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const query: Submittable & Record<string, unknown> = {
    submit: (connection: Connection) => connection.query("UPLOAD_MANIFEST"),
    handleCopyInResponse(connection: CopyIn) {
      send(connection, client.connection.stream, manifest).catch(reject);
    },
    handleRowDescription() {},
    handleDataRow() {},
    handleCommandComplete() {},
    handleEmptyQuery() {},
    handlePortalSuspended() {},
    // Whatever comes behind it, `pg` tells a query that failed no more.
    handleError: reject,
    handleReadyForQuery: resolve,
  };
  client.query(query);
  return promise;
}

/** As fast as the socket takes it. Where that has ended, the query has failed and says why. */
async function send(connection: CopyIn, socket: Duplex, manifest: PackedBytes): Promise<void> {
  for (const piece of manifest.pieces()) {
    // Copied: what the socket has not taken yet is not asked for again.
    connection.sendCopyFromChunk(Buffer.from(piece));
    if (socket.writableNeedDrain) await new Promise<void>((resolve) => afterDrain(socket, resolve));
    if (socket.destroyed) return;
  }
  connection.endCopyFrom();
}

function afterDrain(socket: Duplex, resolve: () => void): void {
  const done = () => {
    socket.off("drain", done);
    socket.off("close", done);
    resolve();
  };
  socket.on("drain", done);
  socket.on("close", done);
}
