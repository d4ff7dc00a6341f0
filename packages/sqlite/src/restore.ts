import { type FileHandle, open, rm, rmdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import {
  chosenBackup,
  type Finding,
  isSystemError,
  LifeboatError,
  type Manifest,
  makeDirectories,
  type RestoredDatabase,
  type RestoreRequest,
  syncDirectory,
} from "@lifeboat/core";
import { whileMerging } from "./compact/while-merging.ts";
import { detailsOf, type SnapshotDetails } from "./details.ts";
import { roomAt } from "./examine/file-system.ts";
import { databaseFailure } from "./failures.ts";
import type { SnapshotLimits } from "./limits.ts";
import { partUpTo } from "./log/plan.ts";
import { idsFor } from "./owner.ts";
import { checkRestored } from "./restore/check-restored.ts";
import { compose } from "./restore/compose.ts";
import { type Parts, partsOf } from "./restore/parts.ts";
import {
  assertPlaceIsFree,
  type Place,
  placeFailure,
  placeOf,
  putInPlace,
} from "./restore/place.ts";
import { Scratch } from "./restore/scratch.ts";

/**
 * Restores a database into a directory under its own file name, owner and mode. It is built in a
 * scratch folder inside that directory, checked, made durable, and only then gets its name.
 */
export async function restoreDatabase(
  request: RestoreRequest,
  { lockPatienceMs }: Pick<SnapshotLimits, "lockPatienceMs">,
): Promise<RestoredDatabase> {
  const { plan, to } = request;
  refuseForeignOptions(request);
  const manifest = chosenBackup(plan);
  const details = detailsOf(manifest);
  const place = placeOf(to, details.fileName);
  let made: string | undefined;
  try {
    await assertPlaceIsFree(place, request.force);
    const parts = await whileMerging(request.folder, () => partsFor(request));
    await assertRoom(place, parts.fileBytes);
    made = await makeDirectories(to, 0o700);
    const findings = await buildAndName(request, {
      manifest,
      parts,
      details,
      place,
      made,
      patienceMs: lockPatienceMs,
    });
    const { willRecoverTo } = plan;
    const bytes = (await stat(place.file)).size;
    return { path: place.file, bytes, willRecoverTo, recoveredTo: willRecoverTo.time, findings };
  } catch (thrown) {
    if (made !== undefined) await removeEmpty(to, made);
    throw placeFailure(to, databaseFailure(place.file, thrown));
  }
}

async function partsFor({ folder, plan }: RestoreRequest): Promise<Parts> {
  const manifest = chosenBackup(plan);
  const { time } = plan.willRecoverTo;
  const instant = Date.parse(time ?? manifest.consistentAt);
  return partsOf(folder, plan, await partUpTo(folder, manifest, instant));
}

async function writeCopy(request: RestoreRequest, build: Build, copy: string): Promise<Finding[]> {
  let planned: Parts | undefined = build.parts;
  return whileMerging(request.folder, async () => {
    const parts = planned ?? (await partsFor(request));
    planned = undefined;
    await rm(copy, { force: true });
    return writeParts(request, { ...build, parts }, copy);
  });
}

interface Build {
  readonly manifest: Manifest;
  readonly parts: Parts;
  readonly details: SnapshotDetails;
  readonly place: Place;
  /** The topmost directory that was made for it, if any. */
  readonly made: string | undefined;
  /** For others' locks on a live database that it goes into. */
  readonly patienceMs: number;
}

async function buildAndName(request: RestoreRequest, build: Build): Promise<Finding[]> {
  const { details, place, made } = build;
  const scratch = await Scratch.make(place.directory);
  try {
    const copy = scratch.file(details.fileName);
    const findings = await writeCopy(request, build, copy);
    const whole = !(request.skipCheck || request.comesToLife);
    request.report({ note: whole ? "check the copy (integrity_check)" : "make the copy durable" });
    const { pageSize, fileName } = details;
    const expected = {
      path: place.file,
      fileName,
      pageSize,
      pageCount: build.parts.pageCount,
      whole,
    };
    const { id, consistentAt } = build.manifest;
    const { time } = request.plan.willRecoverTo;
    const madeOf = { backup: id, logUpTo: time === consistentAt ? null : time };
    const check = () => checkRestored(copy, expected, madeOf);
    findings.push(...(await whileSyncing(copy, check)));
    request.signal.throwIfAborted();
    const { force } = request;
    findings.push(...(await putInPlace(place, copy, { force, patienceMs: build.patienceMs })));
    if (made !== undefined) {
      await giveDirectory(place.directory, details);
      await syncMade(place.directory, made);
    }
    return findings;
  } finally {
    await scratch.remove();
  }
}

/** The disk has work of its own while the copy is read from memory. */
async function whileSyncing<T>(path: string, work: () => T): Promise<T> {
  const file = await open(path, "r+");
  try {
    const synced = file.sync();
    // Awaited below; a check that fails first is what is told.
    synced.catch(() => {});
    const result = work();
    await synced;
    return result;
  } finally {
    await file.close();
  }
}

async function writeParts(request: RestoreRequest, build: Build, copy: string): Promise<Finding[]> {
  const { parts, details } = build;
  const { totalBytes } = parts;
  const file = await open(copy, "wx", 0o600);
  try {
    let bytes = 0;
    const progress = (more: number) => {
      request.signal.throwIfAborted();
      bytes += more;
      request.report({ bytes, totalBytes, note: "unpack the database" });
    };
    await compose(file, { ...parts, pageSize: details.pageSize, progress });
    return await giveFile(file, details);
  } finally {
    await file.close();
  }
}

async function giveFile(file: FileHandle, details: SnapshotDetails): Promise<Finding[]> {
  const { owner } = details;
  const self = process.getuid?.();
  // Changing the owner takes bits off the mode, so it comes first.
  if (self === 0) {
    const { uid, gid } = await idsFor(owner);
    await file.chown(uid, gid);
  }
  await file.chmod(Number.parseInt(details.mode, 8));
  if (self === undefined || self === 0 || self === owner.uid) return [];
  return [
    {
      id: "sqlite-owner-not-restored",
      severity: "warning",
      summary: `${details.fileName} belonged to ${owner.user ?? owner.uid}; only root can give it back`,
      remedy: `chown ${owner.user ?? owner.uid}:${owner.group ?? owner.gid} the restored file as root`,
    },
  ];
}

/** An app makes its `-wal` beside its database: a new folder of root's would keep it from that. */
async function giveDirectory(directory: string, { owner }: SnapshotDetails): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await idsFor(owner);
  const handle = await open(directory);
  try {
    await handle.chown(uid, gid);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A directory that was made is there after a power cut once the one that it lies in is on disk. */
async function syncMade(directory: string, topmost: string): Promise<void> {
  const parent = dirname(directory);
  await syncDirectory(parent);
  if (directory !== topmost) await syncMade(parent, topmost);
}

/** Takes back the directories that were made, up to `topmost`, unless somebody put something there. */
async function removeEmpty(directory: string, topmost: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (thrown) {
    if (isSystemError(thrown, "ENOTEMPTY")) return;
    throw thrown;
  }
  if (directory !== topmost) await removeEmpty(dirname(directory), topmost);
}

function refuseForeignOptions({ tablespaceMapping, delta }: RestoreRequest): void {
  if (tablespaceMapping.size > 0) throw notForSqlite("--tablespace-mapping", "leave it out");
  if (delta)
    throw notForSqlite(
      "--delta",
      "leave it out: the one file is put over the one that is there by --force",
    );
}

function notForSqlite(option: string, remedy: string): LifeboatError {
  return new LifeboatError({
    code: "OPTION_NOT_FOR_SQLITE",
    kind: "usage",
    message: `${option} means nothing for a SQLite database`,
    remedy,
  });
}

async function assertRoom({ directory }: Place, neededBytes: number): Promise<void> {
  const { freeBytes } = await roomAt(directory);
  if (freeBytes >= neededBytes) return;
  throw new LifeboatError({
    code: "NO_SPACE",
    message: `${directory} has ${freeBytes} bytes free, the database needs ${neededBytes}`,
    remedy: "free some space, or restore to another disk",
    details: { path: directory, freeBytes, neededBytes },
  });
}
