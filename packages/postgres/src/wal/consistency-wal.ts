import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type DatabaseFolder, LifeboatError } from "@lifeboat/core";
import type { PostgresDetails } from "../details.ts";
import type { Account } from "../files/account.ts";
import { syncDirectories, writeDurably } from "../files/durable.ts";
import { lsnOf } from "./lsn.ts";
import { readSmallLog } from "./read-small-log.ts";
import { historyName, logName, segmentAt, segmentBefore, segmentName } from "./segment-name.ts";

/** How many bytes the segments have that replay needs before a backup is consistent. */
export function consistencyBytes(details: PostgresDetails): number {
  const { walSegmentBytes: size } = details;
  const segments =
    segmentBefore(lsnOf(details.stopLsn), size) - segmentAt(lsnOf(details.startLsn), size) + 1n;
  return segments > 0n ? Number(segments) * size : 0;
}

/** These segments, in order. One by one: a manifest may name two positions with any number between them. */
export function* consistencySegments(details: PostgresDetails): Generator<string> {
  const { timeline, walSegmentBytes: size } = details;
  const last = segmentBefore(lsnOf(details.stopLsn), size);
  for (let number = segmentAt(lsnOf(details.startLsn), size); number <= last; number++)
    yield segmentName(timeline, number, size);
}

/**
 * Lays them into `pg_wal`, so that the backup becomes consistent even where the archive cannot be
 * reached when the copy is started.
 * @param through passes bytes on: for progress, and for stopping
 * @throws LifeboatError `OBJECT_MISSING`, `CHECKSUM_MISMATCH`, `SEGMENT_SIZE_WRONG`, naming the object
 */
export async function layConsistencyWal(init: {
  readonly folder: DatabaseFolder;
  readonly details: PostgresDetails;
  readonly directory: string;
  readonly account: Account;
  readonly mode: number;
  through(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}): Promise<void> {
  const { folder, details, account, mode } = init;
  const wal = join(init.directory, "pg_wal");
  const status = join(wal, "archive_status");
  for (const made of [wal, status]) await makeFolder(made, account, mode);
  for (const segment of consistencySegments(details)) {
    const content = sized(folder, segment, details.walSegmentBytes);
    await writeDurably(join(wal, segment), init.through(content), { account, mode });
    // They came from the archive: without this mark the server would archive them again, and many
    // an archive_command fails for ever on a file that is there.
    await writeDurably(join(status, `${segment}.done`), "", { account, mode });
  }
  const history = historyName(details.timeline);
  if (await folder.statLog(logName(history)))
    await writeDurably(join(wal, history), readSmallLog(folder, history), { account, mode });
  await syncDirectories([wal, status]);
}

async function* sized(
  folder: DatabaseFolder,
  segment: string,
  expected: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of folder.readLog(logName(segment))) {
    bytes += chunk.length;
    yield chunk;
  }
  if (bytes === expected) return;
  const object = folder.logPath(logName(segment));
  throw new LifeboatError({
    code: "SEGMENT_SIZE_WRONG",
    message: `${object} holds ${bytes} bytes, where a segment of this cluster has ${expected}`,
    remedy: "it is not of this cluster: choose another backup (lifeboat list)",
    details: { object, bytes, expected },
  });
}

async function makeFolder(path: string, account: Account, mode: number): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: mode === 0o640 ? 0o750 : 0o700 });
  if (made !== undefined && account.foreign) await chown(path, account.uid, account.gid);
}
