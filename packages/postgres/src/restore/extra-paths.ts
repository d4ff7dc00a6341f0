import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Finding, LifeboatError, reasonOf, type SnapshotRequest } from "@lifeboat/core";
import pg from "pg";
import { foldersOf, smallMember, tarEnd } from "../basebackup/parallel/bundle-tar.ts";
import type { FileSource } from "../basebackup/parallel/file-source.ts";
import { LocalFiles } from "../basebackup/parallel/local-files.ts";
import { ServerFiles } from "../basebackup/parallel/server-files.ts";
import type { ServerConnection } from "../connection/connection.ts";
import { localDirectory } from "../facts/local-directory.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { Unpacker } from "../unpack/unpack.ts";
import type { BackupContent } from "../unpack/unpack-backup.ts";

/** Its object; in a folder, where nobody unpacks it into a data directory by mistake. */
const OBJECT = "settings/extra-paths.tar";
/** Where they are laid in a restored data directory, below their own full paths. */
const FOLDER = "lifeboat_extra_paths";
/** They are held in memory, one at a time: keys, certificates, dictionaries. */
const LARGEST_FILE = 64 << 20;

/** How a source says that it may not read. */
const UNREADABLE: ReadonlySet<string> = new Set([
  "DATA_DIRECTORY_UNREADABLE",
  "BACKUP_GRANT_MISSING",
]);

interface Found {
  readonly path: string;
  readonly mode: number;
  readonly kind: "file" | "directory";
}

/**
 * Stores the files and folders that `postgres.extraPaths` lists: what belongs to the database and lies
 * outside of it, TLS keys for example. From this host's disk where the server runs here, else through
 * the server. One that cannot be read is a finding: the data are safe without it.
 */
export async function storeExtraPaths(
  connection: ServerConnection,
  server: ServerFacts,
  store: SnapshotRequest["store"],
): Promise<Finding[]> {
  const { extraPaths = [] } = connection;
  if (extraPaths.length === 0) return [];
  const findings: Finding[] = [];
  const isLocal = (await localDirectory(server)) !== undefined;
  const source = isLocal ? new LocalFiles("/") : await ServerFiles.open(connection, 1);
  try {
    await store(OBJECT, "extra-paths", tarOf(source, extraPaths, findings));
  } finally {
    await source.close();
  }
  return findings;
}

async function* tarOf(
  source: FileSource,
  paths: readonly string[],
  findings: Finding[],
): AsyncGenerator<Uint8Array> {
  const seen = new Set<string>();
  for (const path of paths)
    try {
      for (const found of await everythingAt(source, path)) {
        if (seen.has(found.path)) continue;
        seen.add(found.path);
        yield* await member(source, found);
      }
    } catch (cause) {
      if (!isReadFailure(cause)) throw cause;
      findings.push(unread(path, reasonOf(cause)));
    }
  yield tarEnd();
}

async function everythingAt(source: FileSource, path: string): Promise<Found[]> {
  const folder = path.slice(0, path.lastIndexOf("/")) || "/";
  const name = path.slice(path.lastIndexOf("/") + 1);
  const own = (await source.readDirectory(folder)).find((entry) => entry.name === name);
  if (!own) throw new Error("it is not there, or a link");
  const found: Found[] = [{ path, mode: own.mode, kind: own.kind }];
  if (own.kind === "directory")
    for (const entry of await source.readDirectory(path))
      found.push(...(await everythingAt(source, `${path}/${entry.name}`)));
  return found;
}

/** Read whole before its header is written: what fails then leaves no half of it. */
async function member(source: FileSource, { path, mode, kind }: Found): Promise<Uint8Array[]> {
  const own = path.slice(1);
  if (kind === "directory") return [...foldersOf([{ path: own, mode }])];
  const file = await source.open(path);
  if (!file) throw new Error(`${path} is not there any more`);
  try {
    if (file.bytes > LARGEST_FILE) throw new Error(`${path} is larger than 64 MiB`);
    const chunks: Uint8Array[] = [];
    for await (const chunk of file.read()) chunks.push(Buffer.from(chunk));
    const { modified } = file;
    return [...smallMember({ path: own, mode, modified }, Buffer.concat(chunks), [])];
  } finally {
    await file.close();
  }
}

function isReadFailure(cause: unknown): boolean {
  return (
    (cause instanceof LifeboatError && UNREADABLE.has(cause.code)) ||
    cause instanceof pg.DatabaseError ||
    (cause instanceof Error && cause.constructor === Error)
  );
}

function unread(path: string, reason: string): Finding {
  return {
    id: "extra-path-unread",
    severity: "warning",
    summary: `${path}, which postgres.extraPaths lists, is not in the backup: ${reason}`,
    remedy: "let the account that runs lifeboat read it, or take it off the list",
  };
}

/** Lays them into the copy, below a folder of their own: whose place elsewhere it is, is not ours to judge. */
export async function layExtraPaths(
  { folder, manifest, account, through }: BackupContent,
  directory: string,
  dataDirectory: string,
): Promise<Finding[]> {
  const object = manifest.objects.find(({ role }) => role === "extra-paths");
  if (!object) return [];
  const into = join(directory, FOLDER);
  await mkdir(into, { mode: 0o700 });
  const unpacker = new Unpacker({ into, account });
  const path = folder.objectPath(manifest, object);
  await unpacker.add(through(folder.readObject(manifest, object)), path);
  await unpacker.finish();
  return [
    {
      id: "extra-paths-laid",
      severity: "info",
      summary: `what postgres.extraPaths kept lies in ${join(dataDirectory, FOLDER)}`,
      remedy: `put it where it belongs (cp -a ${join(dataDirectory, FOLDER)}/… /…), and remove the folder`,
    },
  ];
}
