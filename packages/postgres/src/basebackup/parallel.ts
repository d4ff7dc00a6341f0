import { LifeboatError, reasonOf } from "@lifeboat/core";
import { readTablespaces } from "../facts/server-facts.ts";
import { ownerAccount } from "../files/as-owner.ts";
import { inParallel } from "../in-parallel.ts";
import { ArchiveProof } from "./archive-proof.ts";
import { baseBackupFailure } from "./base-backup-failure.ts";
import type { CorruptPage } from "./corrupt-page.ts";
import { type BackupFiles, backupFiles } from "./parallel/backup-files.ts";
import { BackupMode } from "./parallel/backup-mode.ts";
import { foldersOf, membersOf, smallMember, type Taking, tarEnd } from "./parallel/bundle-tar.ts";
import { type Bundle, bundlesOf, tablespaceOf } from "./parallel/bundles.ts";
import { FileList } from "./parallel/file-list.ts";
import type { FileSource } from "./parallel/file-source.ts";
import { liveDirectory } from "./parallel/live-directory.ts";
import { LocalFiles } from "./parallel/local-files.ts";
import { ManifestWriter, type TakenFile } from "./parallel/manifest-writer.ts";
import type { PageLayout } from "./parallel/page-check.ts";
import { reuseParts } from "./parallel/reuse-parts.ts";
import { ServerFiles } from "./parallel/server-files.ts";
import type { BaseBackup, BaseBackupRequest, TablespaceArchive, Transport } from "./transport.ts";

const CONTROL = "global/pg_control";
const LAYOUT_QUERY = `
  select current_setting('block_size')::int as "blockBytes", setting::int as "segmentBlocks"
  from pg_settings where name = 'segment_size'`;
/** A control file is read until two looks agree: the server writes it in one stroke, but not atomically. */
const MOST_LOOKS = 20;

/**
 * Several workers read the files themselves while the server is in backup mode: from the disk, where its
 * data directory is this host's, else through the server. What pg_basebackup's one stream cannot: use
 * more than one core. Archives come several at once, none larger than one bundle.
 */
export const parallelTransport: Transport = {
  name: "parallel",

  async takeBaseBackup(request: BaseBackupRequest): Promise<BaseBackup> {
    if (request.parentManifest) throw noIncremental();
    request.signal.throwIfAborted();
    const mode = await BackupMode.enter(request.connection, request);
    const stop = () => mode.close();
    request.signal.addEventListener("abort", stop, { once: true });
    let source: FileSource | undefined;
    try {
      source = await sourceOf(mode, request);
      return await take(mode, source, request);
    } catch (cause) {
      request.signal.throwIfAborted();
      throw baseBackupFailure(cause, []);
    } finally {
      request.signal.removeEventListener("abort", stop);
      await source?.close();
      mode.close();
    }
  },
};

async function sourceOf(mode: BackupMode, request: BaseBackupRequest): Promise<FileSource> {
  const directory = await liveDirectory(mode.client, request.server);
  if (directory !== undefined) {
    const account = await ownerAccount(directory);
    return new LocalFiles(directory, account.foreign ? account : undefined);
  }
  return ServerFiles.open(request.connection, request.jobs, mode.client);
}

async function take(
  mode: BackupMode,
  source: FileSource,
  request: BaseBackupRequest,
): Promise<BaseBackup> {
  const { signal } = request;
  // Not those of some time ago: the server notes as it begins where each of them lies.
  const server = { ...request.server, tablespaces: await readTablespaces(mode.client) };
  const found = await backupFiles(source, server);
  const proof = new ArchiveProof();
  const manifest = new ManifestWriter(server);
  const note = (files: readonly TakenFile[]) => {
    for (const file of files) manifest.add(file);
  };
  const corrupt: CorruptPage[] = [];
  const pages = server.checksums ? await pageLayout(mode) : null;
  const pass = passing(found, request);
  const taking: Omit<Taking, "signal" | "taken"> = { source, pages, pass, corrupt };
  const archive = (each: TablespaceArchive) => request.archive(proof.watching(each));

  const kept = await reuseParts(found, request, taking);
  proof.stored(kept);
  note(kept);
  const bundles = numbered(missing(found.files, kept), request);
  await inParallel(bundles, { jobs: request.jobs, signal }, async (bundle, both) => {
    const own: TakenFile[] = [];
    const content = bundleContent(bundle, found, { ...taking, taken: own, signal: both });
    const fileDigests = () => own.map(({ sha256 }) => sha256);
    const tablespace = server.tablespaces.find(({ oid }) => oid === bundle.tablespace) ?? null;
    await archive({ tablespace, part: bundle.part, content, fileDigests });
    note(own);
  });
  const control = await controlFile(source);
  const end = await mode.leave();
  const last: TakenFile[] = [];
  const rest = { found, control, end, taken: last };
  await archive({ tablespace: null, part: null, content: lastArchive(rest) });
  note(last);
  for (const { oid, location } of server.tablespaces)
    await archive({ tablespace: { oid, location }, part: null, content: emptySpace(oid, found) });
  const wal = { timeline: end.timeline, start: mode.startLsn, end: end.stopLsn };
  const written = manifest.finish(wal);
  proof.assertHolds(written);
  return {
    startLsn: mode.startLsn,
    stopLsn: end.stopLsn,
    timeline: end.timeline,
    manifest: written,
    manifestInArchive: false,
    corruptPages: corrupt,
  };
}

async function pageLayout(mode: BackupMode): Promise<PageLayout> {
  const { rows } = await mode.client.query<Omit<PageLayout, "startLsn">>(LAYOUT_QUERY);
  return { ...(rows[0] as Omit<PageLayout, "startLsn">), startLsn: mode.startLsn };
}

/** Counts what passes. Whoever takes it keeps it to a rate. */
function passing({ files }: BackupFiles, { report }: BaseBackupRequest): Taking["pass"] {
  const { totalBytes } = files;
  let passed = 0;
  return (bytes) => {
    passed += bytes;
    report({ bytes: passed, totalBytes });
  };
}

interface Numbered extends Bundle {
  /** Within its tablespace, from 1 where nothing was stored before. */
  readonly part: number;
}

/** Files that no archive holds that was stored before. */
function missing(files: FileList, kept: readonly TakenFile[]): FileList {
  if (kept.length === 0) return files;
  const held = new Set(kept.map(({ path }) => path));
  return FileList.of(Iterator.from(files).filter(({ path }) => !held.has(path)));
}

function numbered(files: FileList, { jobs, interrupted }: BaseBackupRequest): Numbered[] {
  const before = interrupted?.highestPart ?? 0;
  const counts = new Map<number | null, number>();
  return bundlesOf(files, jobs).map((bundle) => {
    const part = (counts.get(bundle.tablespace) ?? before) + 1;
    counts.set(bundle.tablespace, part);
    return { ...bundle, part };
  });
}

async function* bundleContent(
  { files, tablespace }: Bundle,
  { directories }: BackupFiles,
  taking: Taking,
): AsyncGenerator<Uint8Array> {
  const needed = new Set<string>();
  for (const { path } of files) for (const parent of parentsOf(path)) needed.add(parent);
  yield* foldersOf(directories.filter(({ path }) => needed.has(path)).filter(within(tablespace)));
  yield* membersOf(files, taking);
  yield tarEnd();
}

function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1))
    parents.push(path.slice(0, at));
  return parents;
}

/** The folders of one tablespace, or of the data directory without any. */
function within(tablespace: number | null): (folder: { readonly path: string }) => boolean {
  return ({ path }) => tablespaceOf(`${path}/`) === tablespace;
}

/** Every folder, also the empty ones, and what has to be read last: pg_control and what the server said at the end. */
async function* lastArchive(rest: {
  readonly found: BackupFiles;
  readonly control: {
    readonly content: Uint8Array;
    readonly mode: number;
    readonly modified: Date;
  };
  readonly end: { readonly label: string; readonly tablespaceMap: string };
  readonly taken: TakenFile[];
}): AsyncGenerator<Uint8Array> {
  const { found, control, end, taken } = rest;
  const { mode } = control;
  const modified = new Date();
  yield* foldersOf(found.directories.filter(within(null)));
  const label = { path: "backup_label", mode, modified };
  yield* smallMember(label, Buffer.from(end.label), taken);
  // Empty where there are no tablespaces, as BASE_BACKUP has it.
  const map = { path: "tablespace_map", mode, modified };
  yield* smallMember(map, Buffer.from(end.tablespaceMap), taken);
  const own = { path: CONTROL, mode, modified: control.modified };
  yield* smallMember(own, control.content, taken);
  yield tarEnd();
}

/** A tablespace's folders: all of it, where it holds no file. */
async function* emptySpace(oid: number, found: BackupFiles): AsyncGenerator<Uint8Array> {
  yield* foldersOf(found.directories.filter(within(oid)));
  yield tarEnd();
}

async function controlFile(source: FileSource) {
  let before: Buffer | undefined;
  for (let look = 0; look < MOST_LOOKS; look++) {
    const file = await source.open(CONTROL);
    if (!file) break;
    try {
      const content = Buffer.from(await file.readAt(0, file.bytes));
      const { mode, modified, bytes } = file;
      if (before?.equals(content) && content.length === bytes) return { content, mode, modified };
      before = content;
    } catch (cause) {
      throw new Error(`${CONTROL} cannot be read: ${reasonOf(cause)}`, { cause });
    } finally {
      await file.close();
    }
  }
  throw new Error(`${CONTROL} is not to be had whole`);
}

function noIncremental(): LifeboatError {
  return new LifeboatError({
    code: "TRANSPORT_UNFIT",
    kind: "usage",
    message:
      "an incremental base backup is not taken by --transport parallel: only the server knows what changed",
    remedy: "leave --transport and --jobs out, or take --transport wire",
  });
}
