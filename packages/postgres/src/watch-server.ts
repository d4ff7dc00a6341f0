import { notAvailable, type WatchRequest } from "@lifeboat/core";
import type { ServerConnection } from "./connection.ts";
import { receiveWal } from "./receive-wal.ts";
import { formatLsn } from "./wal/lsn.ts";

/** How WAL gets into the repository. */
export interface ArchiveChoice {
  /** By the server's archive_command, or by a receiver of ours. */
  readonly mode: "command" | "receive";
}

/**
 * Ships the WAL of a live server until the signal aborts. Where WAL is lost for good a new base is
 * taken at once, so that the hole is all that is lost.
 */
export async function watchServer(
  connection: ServerConnection,
  archive: ArchiveChoice,
  request: WatchRequest,
): Promise<void> {
  if (archive.mode === "command") throw notAvailable("watch of a Postgres database by command");
  const { folder, report, signal, note } = request;
  let backup: Promise<unknown> = Promise.resolve();
  let noted = 0;
  await receiveWal({
    ...{ connection, folder, report, signal },
    onDurable(position) {
      if (Date.now() - noted < NOTE_INTERVAL_MS) return;
      noted = Date.now();
      note({ durable: formatLsn(position) }).catch(() => {});
    },
    onHole(message) {
      report({ note: message });
      backup = backup
        .then(() => request.backup("full"))
        .catch((cause: unknown) => report({ note: `the new base failed: ${String(cause)}` }));
    },
  });
  await backup;
}

const NOTE_INTERVAL_MS = 5_000;
