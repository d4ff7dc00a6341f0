import { createHash, type Hash } from "node:crypto";
import { type DatabaseFolder, LifeboatError } from "@lifeboat/core";
import pg from "pg";
import { withBriefSender } from "../connection/brief-sender.ts";
import type { ServerConnection } from "../connection/connection.ts";
import type { PostgresDetails } from "../details.ts";
import { readSegment } from "../wal/archived-segment.ts";
import { type Lsn, lsnOf } from "../wal/lsn.ts";
import { ReceiveQuery } from "../wal/receive-query.ts";
import { segmentAt, segmentStart } from "../wal/segment-name.ts";

/** Of a backup that a busy server wrote much beside, its end tells enough. */
const MOST_COMPARED = 64n << 20n;

/** WAL up to where a backup ended. */
interface End {
  readonly timeline: number;
  readonly from: Lsn;
  readonly to: Lsn;
}

/**
 * Whether the WAL in which a backup ended lies in the server's own pg_wal as it lies in the repository, byte for byte: then the server's
 * past holds that end, whatever it was since. It bears the times and transactions of those seconds, so no other past has the same.
 * False where the server has it no more, or never had it, and where the repository's own cannot be read.
 */
export async function hasEndOf(
  {
    serverConnection,
    client,
  }: { readonly serverConnection: ServerConnection; readonly client: pg.Client },
  folder: DatabaseFolder,
  { timeline, startLsn, stopLsn, walSegmentBytes }: PostgresDetails,
): Promise<boolean> {
  const [start, to] = [lsnOf(startLsn), lsnOf(stopLsn)];
  const end = { timeline, from: to - start > MOST_COMPARED ? to - MOST_COMPARED : start, to };
  try {
    const stored = await storedEnd(folder, end, walSegmentBytes);
    const own = await withBriefSender(serverConnection, client, (sender) => sentEnd(sender, end));
    return own === stored;
  } catch (cause) {
    // The server says so where the segment is removed, or the timeline is none of its own; reading says what is damaged.
    if (cause instanceof pg.DatabaseError || isOfObject(cause)) return false;
    throw cause;
  }
}

function isOfObject(cause: unknown): boolean {
  return cause instanceof LifeboatError && cause.details.object !== undefined;
}

async function storedEnd(folder: DatabaseFolder, end: End, segmentBytes: number): Promise<string> {
  const digest = new Prefix(end);
  for (let number = segmentAt(end.from, segmentBytes); !digest.isWhole; number++) {
    let skip = Number(
      number === segmentAt(end.from, segmentBytes)
        ? end.from - segmentStart(number, segmentBytes)
        : 0n,
    );
    for await (const chunk of readSegment(
      folder,
      { timeline: end.timeline, number },
      segmentBytes,
    )) {
      digest.add(chunk.subarray(skip));
      skip = Math.max(0, skip - chunk.length);
    }
  }
  return digest.hex();
}

async function sentEnd(sender: pg.Client, end: End): Promise<string> {
  const digest = new Prefix(end);
  const query: ReceiveQuery = new ReceiveQuery({
    ...{ slot: null, start: end.from, timeline: end.timeline },
    take(bytes) {
      digest.add(bytes);
      if (digest.isWhole) query.stop();
    },
  });
  sender.query(query);
  await query.ended;
  return digest.hex();
}

/** The digest of the first bytes that come. */
class Prefix {
  readonly #hash: Hash = createHash("sha256");
  #left: number;

  constructor({ from, to }: End) {
    this.#left = Number(to - from);
  }

  get isWhole(): boolean {
    return this.#left === 0;
  }

  add(bytes: Uint8Array): void {
    const own = bytes.subarray(0, this.#left);
    this.#hash.update(own);
    this.#left -= own.length;
  }

  hex(): string {
    return this.#hash.digest("hex");
  }
}
