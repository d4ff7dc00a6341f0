import {
  type DatabaseFolder,
  type Finding,
  LifeboatError,
  type Manifest,
  type ManifestObject,
  type SnapshotRequest,
} from "@lifeboat/core";
import type pg from "pg";
import { TarWatch } from "../basebackup/tar-watch.ts";
import type { ServerConnection } from "../connection/connection.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { PackedBytes } from "../packed/bytes.ts";
import { findPrograms } from "../server/programs.ts";

/** The first version whose servers take incremental base backups. */
const INCREMENTAL_SINCE = 17;
const MANIFEST = "backup_manifest";

/**
 * What makes every incremental backup of a server impossible is said before a byte of one moves.
 * @throws LifeboatError `INCREMENTAL_UNSUPPORTED`, `WAL_SUMMARIES_OFF` (kind `usage`)
 */
export async function assertTakesIncrements(client: pg.Client, server: ServerFacts): Promise<void> {
  if (server.major < INCREMENTAL_SINCE) throw unsupported(server);
  const { rows } = await client.query<{ on: boolean }>(
    "select current_setting('summarize_wal')::bool as on",
  );
  if (rows[0]?.on !== true) throw summariesOff();
}

/**
 * The manifest of the backup that an incremental one builds on; null for a full one.
 * @throws LifeboatError `BACKUP_MANIFEST_MISSING`; what reading the parent's object threw
 */
export async function parentManifestOf({
  folder,
  type,
  parents,
}: SnapshotRequest): Promise<PackedBytes | null> {
  const parent = parents.at(-1);
  return type === "incremental" && parent ? storedManifest(folder, parent) : null;
}

/** An incremental backup is worth nothing where nobody can put it together. */
export async function combineFindings(
  connection: ServerConnection,
  server: ServerFacts,
  { type }: SnapshotRequest,
): Promise<Finding[]> {
  if (type !== "incremental") return [];
  const { binDirectory } = connection;
  try {
    await findPrograms({ binDirectory, major: server.major, needs: ["pg_combinebackup"] });
    return [];
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    return [
      {
        id: "pg-combinebackup-missing",
        severity: "warning",
        summary: `restoring this backup takes pg_combinebackup of version ${server.major}, which is not on this host`,
        remedy: thrown.remedy,
      },
    ];
  }
}

/** From the object that holds it alone, or from the end of the data directory's archive. */
async function storedManifest(folder: DatabaseFolder, backup: Manifest): Promise<PackedBytes> {
  const found =
    backup.objects.find(({ role }) => role === "backup-manifest") ??
    backup.objects.find(({ role }) => role === "base");
  const manifest = found && (await contentOf(folder, backup, found));
  if (manifest) return manifest;
  throw new LifeboatError({
    code: "BACKUP_MANIFEST_MISSING",
    message: `backup ${backup.id} holds no backup_manifest, so no incremental one can build on it`,
    remedy: "take a full backup (lifeboat backup)",
    details: { backup: backup.id },
  });
}

async function contentOf(
  folder: DatabaseFolder,
  backup: Manifest,
  object: ManifestObject,
): Promise<PackedBytes | undefined> {
  const content = folder.readObject(backup, object);
  if (!object.object.includes(".tar.")) {
    const packed = new PackedBytes();
    for await (const chunk of content) packed.add(chunk);
    return packed;
  }
  const watch = new TarWatch([MANIFEST]);
  for await (const _ of watch.through(content));
  return watch.members.get(MANIFEST);
}

function unsupported({ major }: ServerFacts): LifeboatError {
  return new LifeboatError({
    code: "INCREMENTAL_UNSUPPORTED",
    kind: "usage",
    message: `the server is of version ${major}; incremental base backups exist since version ${INCREMENTAL_SINCE}`,
    remedy: "leave --type out; with archiving, WAL between full backups serves the same end",
    details: { major },
  });
}

function summariesOff(): LifeboatError {
  return new LifeboatError({
    code: "WAL_SUMMARIES_OFF",
    kind: "usage",
    message:
      "summarize_wal is off: the server does not know which pages changed since the last backup",
    remedy:
      "alter system set summarize_wal = on; select pg_reload_conf(); then a full backup, on which incremental ones can build",
  });
}
