import { rm, stat } from "node:fs/promises";
import { basename } from "node:path";
import {
  type DatabaseFolder,
  foldersBelow,
  LifeboatError,
  type Snapshot,
  type SnapshotRequest,
} from "@lifeboat/core";
import type { ConfiguredDatabase } from "./configured-database.ts";
import type { LogMember, SnapshotDetails } from "./details.ts";
import { checkSource } from "./examine/check-source.ts";
import { type Examined, examine } from "./examine/examine.ts";
import { roomAt } from "./examine/file-system.ts";
import { walBytes, whileWalIsSmall } from "./examine/wal-watch.ts";
import { databaseFailure } from "./failures.ts";
import type { HeldFile } from "./hold/held.ts";
import { hold } from "./hold/hold.ts";
import type { SnapshotLimits } from "./limits.ts";
import { isLineage } from "./log/name.ts";
import { lineagesOf } from "./log/objects.ts";
import { lastOf } from "./log/start.ts";
import { ownerOf } from "./owner.ts";
import type { RawReader } from "./raw/raw-reader.ts";
import { readAhead } from "./raw/read-ahead.ts";
import type { SpareReader } from "./raw/spare-reader.ts";
import type { Scratch } from "./restore/scratch.ts";
import { scratchFor } from "./restore/scratch-place.ts";
import { snapshotFindings } from "./snapshot/findings.ts";
import { assertUntouched, identityOf } from "./snapshot/identity.ts";
import { storePages } from "./snapshot/store-pages.ts";
import type { LogPlace } from "./wal/place.ts";
import { holdSocket, isHoldLost, ShippedElsewhere } from "./watch/hold-elsewhere.ts";
import type { ShippedDatabase, Shipping } from "./watch/shipped-database.ts";

/** What all steps of one snapshot share. */
interface Job {
  readonly database: ConfiguredDatabase;
  readonly examined: Examined;
  readonly reader: RawReader;
  /** Where the raw copy goes; undefined: there is no room for one. */
  readonly copyTo: string | undefined;
  readonly request: SnapshotRequest;
  readonly limits: SnapshotLimits;
  readonly shipping: Shipping;
  /** Where a watch in another process is found. */
  readonly directory: string | undefined;
}

/** How a database was read. */
interface Reading {
  /** That its place lies in. */
  readonly lineage: string | null;
  readonly held: HeldFile;
  readonly heldMilliseconds: number;
  readonly copySeconds: number;
  readonly walBytes: number;
}

/**
 * Takes a consistent backup of one database while others write to it: holds its file still, copies it
 * raw in another process, lets go, and only then compresses and stores the copy. Without room for a
 * raw copy it is stored straight from the held file.
 */
export async function takeSnapshot(
  database: ConfiguredDatabase,
  request: SnapshotRequest,
  context: Pick<Job, "limits" | "shipping" | "directory"> & { readonly spare: SpareReader },
): Promise<Snapshot> {
  const { limits, shipping, directory, spare } = context;
  const reader = spare.take();
  let scratch: Scratch | undefined;
  try {
    const examined = await examine(reader, database.path);
    scratch = await scratchFor(examined, limits.spareBytes);
    const copyTo = scratch?.file(basename(examined.path));
    const job: Job = {
      ...{ database, examined, reader, copyTo, request, limits, shipping, directory },
    };
    const reading = await readDatabase(job);
    if (copyTo !== undefined) {
      if (request.options.check) checkSource(copyTo, database.path);
      await store(job, reading.held, readAhead(copyTo));
    }
    return await describe(job, reading);
  } catch (thrown) {
    throw databaseFailure(database.path, thrown);
  } finally {
    await reader.close();
    await scratch?.remove();
  }
}

/** Where the watch that held the file ended meanwhile, a copy that is not stored yet is made once more. */
async function readDatabase(job: Job): Promise<Reading> {
  const own = job.shipping.get(job.database.name);
  const shipped = own ?? (await shippedElsewhere(job));
  try {
    return await readHeld(job, shipped);
  } catch (thrown) {
    if (!isHoldLost(thrown) || job.copyTo === undefined) throw thrown;
    await rm(job.copyTo, { force: true });
    return await readHeld(job, await shippedElsewhere(job));
  }
}

async function shippedElsewhere({ directory, request, examined }: Job) {
  if (directory === undefined || !examined.header.wal) return undefined;
  return ShippedElsewhere.find(holdSocket(directory, request.folder), examined.path);
}

async function readHeld(job: Job, shipped: ShippedDatabase | undefined): Promise<Reading> {
  const { examined, limits, request } = job;
  const { freeBytes } = await roomAt(examined.path);
  const growth = limits.walGrowthBytes ?? freeBytes / 4;
  return whileWalIsSmall(examined.path, growth, request.signal, async (signal) => {
    request.report({ note: "hold the file still" });
    const startedAt = performance.now();
    const held = await hold({ examined, copyTo: job.copyTo, shipped, limits, signal });
    try {
      if (held.way !== "backup-api") await copyHeld(job, held, signal);
      const wal = await walBytes(examined.path);
      const heldMilliseconds = held.release();
      const copySeconds = (performance.now() - startedAt) / 1000;
      const lineage = shipped?.lineage ?? null;
      return { held, lineage, heldMilliseconds, copySeconds, walBytes: wal };
    } finally {
      held.release();
    }
  });
}

async function copyHeld(job: Job, held: HeldFile, signal: AbortSignal): Promise<void> {
  const { examined, reader, copyTo, request } = job;
  const { path } = examined;
  const before = await identityOf(path);
  assertWhole(path, Number(before.size), held);
  request.report({ note: "copy the file", totalBytes: Number(before.size) });
  if (copyTo === undefined && request.options.check) checkSource(path, path);
  if (copyTo === undefined) await store(job, held, reader.stream(path, signal));
  else await reader.copy(path, copyTo, signal);
  await held.confirm?.();
  await assertUntouched(path, before);
  if (copyTo !== undefined) assertWhole(path, (await stat(copyTo)).size, held);
}

/** A file may be longer than its pages (space taken in advance), never shorter. */
function assertWhole(path: string, bytes: number, { facts }: HeldFile): void {
  if (bytes >= facts.pageCount * facts.pageSize) return;
  throw new LifeboatError({
    code: "DATABASE_CORRUPT",
    message: `${path} has ${bytes} bytes, too few for its ${facts.pageCount} pages of ${facts.pageSize}`,
    remedy: "the file was cut: restore a backup beside it and compare (lifeboat restore --to DIR)",
    details: { path, bytes, ...facts },
  });
}

async function store(
  job: Job,
  { facts }: HeldFile,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { request, database, examined } = job;
  const counted = async function* () {
    let bytes = 0;
    for await (const chunk of content) {
      request.signal.throwIfAborted();
      yield chunk;
      bytes += chunk.length;
      request.report({ bytes, totalBytes: examined.stat.size, note: "compress and store" });
    }
  };
  await storePages({ request, name: database.name, facts, content: counted() });
}

async function describe(job: Job, reading: Reading): Promise<Snapshot> {
  const { database, examined, copyTo } = job;
  const { held, heldMilliseconds, lineage } = reading;
  const details: SnapshotDetails = {
    fileName: basename(database.path),
    mode: `0${(examined.stat.mode & 0o777).toString(8).padStart(3, "0")}`,
    owner: await ownerOf(examined.stat),
    ...held.facts,
    way: held.way,
    heldMilliseconds: rounded(heldMilliseconds),
    copySeconds: rounded(reading.copySeconds),
    walBytes: reading.walBytes,
    log: lineage !== null && held.place ? await inLog(job, lineage, held.place) : null,
  };
  const streamed = copyTo === undefined;
  return {
    consistentAt: held.consistentAt,
    details: { ...details },
    findings: snapshotFindings(database.path, held.way, {
      ...{ heldMilliseconds, streamed, patienceMs: job.limits.pinPatienceMs },
    }),
  };
}

/** How much of the log was there is kept, since a log that lost its end looks like one that never had it. */
async function inLog(
  { request: { folder } }: Job,
  lineage: string,
  place: LogPlace,
): Promise<LogMember> {
  const segments = await segmentsStored(folder, lineage);
  if (segments > 0) return { lineage, place, segments };
  const all = await foldersBelow(folder.storage, `${folder.path}/wal/`);
  const before = all.findLast(isLineage);
  if (before === undefined) return { lineage, place, segments };
  const previous = { lineage: before, segments: await segmentsStored(folder, before) };
  return { lineage, place, segments, previous };
}

async function segmentsStored(folder: DatabaseFolder, lineage: string): Promise<number> {
  return lastOf((await lineagesOf(folder, `${lineage}/`)).get(lineage) ?? []);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
