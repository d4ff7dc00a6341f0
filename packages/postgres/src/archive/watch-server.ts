import { setTimeout as delay } from "node:timers/promises";
import { LifeboatError, OutageLog, reasonOf, type WatchRequest } from "@lifeboat/core";
import { type ServerConnection, withClient } from "../connection/connection.ts";
import { localDirectory } from "../facts/local-directory.ts";
import { describeServer } from "../facts/server-facts.ts";
import { formatLsn } from "../wal/lsn.ts";
import { GivenUpHole } from "./given-up-hole.ts";
import { subjectOf } from "./outage-subject.ts";
import { PushServer } from "./push-server.ts";
import { receiveWal } from "./receive-wal.ts";

/** How WAL gets into the repository. */
export interface ArchiveChoice {
  /** By the server's archive_command, or by a receiver of ours. */
  readonly mode: "command" | "receive";
  /** Bytes that may wait for a repository that takes none, before the database goes first; it waits for ever when left out. */
  readonly maxBacklog?: number | undefined;
}

const NOTE_INTERVAL_MS = 5_000;
const GIVEN_UP_POLL_MS = 1_000;

/**
 * Ships the WAL of a live server until the signal aborts: streams it, or pushes it for the server's
 * archiver. Where WAL is lost for good a new base is taken at once, so that the hole is all that is lost.
 */
export async function watchServer(
  connection: ServerConnection,
  archive: ArchiveChoice,
  request: WatchRequest,
): Promise<void> {
  // So that `status` knows of it before anything is shipped.
  await note(request, {});
  if (archive.mode === "receive") await receive(connection, request);
  else await push(connection, archive, request);
}

async function receive(connection: ServerConnection, request: WatchRequest): Promise<void> {
  const { folder, report, log, signal } = request;
  const noteShipped = noteNowAndThen(request);
  let backup: Promise<unknown> = Promise.resolve();
  await receiveWal({
    ...{ connection, folder, report, log, signal },
    onDurable: (position) => noteShipped({ durable: formatLsn(position) }),
    onHole() {
      backup = backup
        .then(() => request.backup("full"))
        .catch((cause: unknown) =>
          log(`${subjectOf(folder)}: the new base behind the hole failed: ${reasonOf(cause)}`),
        );
    },
  });
  await backup;
}

async function push(
  connection: ServerConnection,
  { maxBacklog }: ArchiveChoice,
  request: WatchRequest,
): Promise<void> {
  const { folder, report, log, signal } = request;
  const server = await withClient(connection, describeServer);
  const dataDirectory = await localDirectory(server);
  if (dataDirectory === undefined) throw notHere();
  const noteShipped = noteNowAndThen(request);
  const outage = new OutageLog(subjectOf(folder), log);
  const hole = new GivenUpHole(dataDirectory, request, outage);
  let isAnswered = false;
  const pushing = await PushServer.open({
    ...{ folder, dataDirectory, maxBacklog },
    onStored(name) {
      report({ note: `stored ${name}` });
      noteShipped({ stored: name });
    },
    onAnswered() {
      isAnswered = true;
    },
    onFailure(reason) {
      isAnswered = false;
      outage.failing({ reason, meanwhile: "the server keeps it in pg_wal, and asks again" });
    },
  });
  try {
    while (!signal.aborted) {
      // Before the note is looked for, which is written before the archiver is answered.
      const isShipping = isAnswered;
      if (!(await hole.close()) && isShipping) outage.working();
      await delay(GIVEN_UP_POLL_MS, undefined, { signal }).catch(() => {});
    }
  } finally {
    await pushing.close();
  }
}

type Facts = Record<string, unknown>;

/** Word for `status`: that it is lost is no reason to stop shipping. */
async function note(request: WatchRequest, facts: Facts): Promise<void> {
  await request.note(facts).catch(() => {});
}

/** At most so often. */
function noteNowAndThen(request: WatchRequest): (facts: Facts) => void {
  let noted = 0;
  return (facts) => {
    if (Date.now() - noted < NOTE_INTERVAL_MS) return;
    noted = Date.now();
    void note(request, facts);
  };
}

function notHere(): LifeboatError {
  return new LifeboatError({
    code: "DATA_DIRECTORY_UNKNOWN",
    kind: "usage",
    message: "the server's data directory is not to be found on this host, or may not be read here",
    remedy:
      "run lifeboat watch on the database's host, as the server's account or as root, or stream the WAL: archive.mode receive",
  });
}
