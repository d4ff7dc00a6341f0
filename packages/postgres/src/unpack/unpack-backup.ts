import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type DatabaseFolder,
  LifeboatError,
  type Manifest,
  type ManifestObject,
} from "@lifeboat/core";
import type { PostgresDetails, TablespaceDetail } from "../details.ts";
import type { Account } from "../files/account.ts";
import { readSmallFile } from "../files/small-file.ts";
import { inParallel } from "../in-parallel.ts";
import { tablespaceLink } from "../places/tablespace-links.ts";
import { versionFolder } from "../places/version-folder.ts";
import type { EntryRules } from "./entry-rules.ts";
import type { Through } from "./progress.ts";
import { Unpacker } from "./unpack.ts";

/** Of a server that ran, or of a standby: a copy must not start with them. */
const STALE = new Set(["postmaster.pid", "postmaster.opts", "standby.signal", "recovery.signal"]);

/** What the data directory of a backup never lacks. */
const ESSENTIAL = ["PG_VERSION", "backup_label", "global/pg_control"];

/** Where archives become files: one directory. */
export interface ArchiveLayer {
  /** Brings the files of one archive into the directory, durably. Several may be under way at once. */
  lay(object: ManifestObject, signal: AbortSignal): Promise<void>;
  /** All archives have been laid. */
  finish(): Promise<void>;
  /** Whether the original's group could read it. */
  readonly groupReads: boolean;
  /** Where a file lies as long as the whole is not done. */
  placeOf(path: string): string;
}

export type LayerInit = EntryRules & { readonly into: string };
export type Layering = (init: LayerInit) => ArchiveLayer;

/** A stored backup, and how its bytes reach the disk. */
export interface BackupContent {
  readonly folder: DatabaseFolder;
  readonly manifest: Manifest;
  readonly details: PostgresDetails;
  readonly account: Account;
  readonly through: Through;
  /** How archives become files; unpacked into an empty directory when left out. */
  readonly layer?: Layering;
  /** How many archives are unpacked at once. */
  readonly jobs: number;
  readonly signal: AbortSignal;
}

/**
 * Unpacks the data directory, whatever archives it consists of, and proves that it is one.
 * @returns the mode of its files: 0640 where the group may read the cluster, else 0600
 * @throws LifeboatError `BACKUP_INCOMPLETE`; what `Unpacker` and the repository throw
 */
export async function unpackBase(backup: BackupContent, directory: string): Promise<number> {
  const { manifest, details } = backup;
  const apart = new Set(details.tablespaces.flatMap(objectsOf));
  const links = new Set(details.tablespaces.map(({ oid }) => tablespaceLink(oid)));
  const layer = layering(backup)({ into: directory, passOver: STALE, links });
  const own = manifest.objects.filter(({ object, role }) =>
    object.endsWith(".tar.zst")
      ? !apart.has(object) && role !== "extra-paths"
      : role === "backup-manifest" || role === "ranges",
  );
  await inParallel(own, backup, async (object, signal) => {
    if (object.object.endsWith(".tar.zst")) await layer.lay(object, signal);
    // The copy needs no second one, but damage in a backup is told whoever meets it.
    else await readThrough(backup, object);
  });
  await layer.finish();
  await assertWhole(directory, backup, layer);
  return layer.groupReads ? 0o640 : 0o600;
}

export async function unpackTablespace(
  backup: BackupContent,
  tablespace: TablespaceDetail,
  directory: string,
): Promise<void> {
  const layer = layering(backup)({ into: directory, only: ownFolder(backup.details) });
  await inParallel(objectsOf(tablespace), backup, async (name, signal) => {
    const object = backup.manifest.objects.find(({ object }) => object === name);
    if (!object)
      throw incomplete(backup.manifest, `its tablespace ${name} is not among its objects`);
    await layer.lay(object, signal);
  });
  await layer.finish();
}

/** All the objects of a tablespace. */
function objectsOf({ object, parts = [] }: TablespaceDetail): string[] {
  return [object, ...parts];
}

/** Under any other name an archive could lay files into a tablespace that another program reads. */
function ownFolder({ serverVersion }: PostgresDetails): RegExp {
  return versionFolder(Math.trunc(serverVersion / 10_000));
}

async function readThrough(
  { folder, manifest, through }: BackupContent,
  object: ManifestObject,
): Promise<void> {
  for await (const _ of through(folder.readObject(manifest, object)));
}

function layering(backup: BackupContent): Layering {
  return backup.layer ?? ((init) => unpacking(backup, init));
}

function unpacking(
  { folder, manifest, through, account }: BackupContent,
  init: LayerInit,
): ArchiveLayer {
  const unpacker = new Unpacker({ ...init, account });
  return {
    async lay(object, signal) {
      const path = folder.objectPath(manifest, object);
      await unpacker.add(through(until(signal, folder.readObject(manifest, object))), path);
    },
    finish: () => unpacker.finish(),
    get groupReads() {
      return unpacker.groupReads;
    },
    placeOf: (path) => path,
  };
}

/** Ends when another archive has failed: the rest of this one is of no use any more. */
export async function* until(
  signal: AbortSignal,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    signal.throwIfAborted();
    yield chunk;
  }
}

async function assertWhole(
  directory: string,
  { manifest, details }: BackupContent,
  { placeOf }: ArchiveLayer,
): Promise<void> {
  for (const name of ESSENTIAL) {
    const found = await stat(join(directory, placeOf(name))).catch(() => undefined);
    if (!found?.isFile()) throw incomplete(manifest, `it holds no ${name}`);
  }
  const version = String(await readSmallFile(join(directory, "PG_VERSION"))).trim();
  const expected = String(Math.trunc(details.serverVersion / 10_000));
  if (version !== expected)
    throw incomplete(manifest, `its PG_VERSION is ${version}, and not ${expected}`);
}

function incomplete(manifest: Manifest, why: string): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_INCOMPLETE",
    message: `backup ${manifest.id} is no whole base backup: ${why}`,
    remedy: "restore another backup (lifeboat list)",
    details: { backup: manifest.id },
  });
}
