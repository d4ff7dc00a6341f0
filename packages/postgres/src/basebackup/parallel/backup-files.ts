import { versionFolder } from "../../places/version-folder.ts";
import { FileList } from "./file-list.ts";
import type { DirectoryEntry, FileSource } from "./file-source.ts";

/** What a backup consists of, apart from `global/pg_control`, which comes last. */
export interface BackupFiles {
  /** In the data directory and in tablespaces (`pg_tblspc/<oid>/…`), parents first. */
  readonly directories: readonly { readonly path: string; readonly mode: number }[];
  readonly files: FileList;
}

/** Folders whose content the server makes anew (manual, "Backing Up the Data Directory"). */
const EMPTIED: ReadonlySet<string> = new Set([
  "pg_dynshmem",
  "pg_notify",
  "pg_replslot",
  "pg_serial",
  "pg_snapshots",
  "pg_stat_tmp",
  "pg_subtrans",
  "pg_wal/archive_status",
  "pg_wal/summaries",
]);
/** Of the data directory itself. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "backup_label",
  "backup_manifest",
  "current_logfiles.tmp",
  "postgresql.auto.conf.tmp",
  "postmaster.opts",
  "postmaster.pid",
  "tablespace_map",
  "global/pg_control",
]);
const DATABASE = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/\d+$/;
/** `t<backend>_<file>`: of a session's temporary table. */
const TEMPORARY_RELATION = /^t\d+_\d+(?:_(?:fsm|vm))?(?:\.\d+)?$/;
const RELATION = /^(\d+)(?:_(fsm|vm|init))?(?:\.\d+)?$/;

/** What lies in pg_wal: segments, which come by another way, and what others put there. */
const OF_WAL: ReadonlySet<string> = new Set(["pg_wal/archive_status", "pg_wal/summaries"]);
const IN_TABLESPACE = /^pg_tblspc\/(\d+)(?:\/([^/]+)$)?/;

/**
 * Walks the data directory and its tablespaces and chooses as BASE_BACKUP does: no temporary files, no
 * caches, nothing of the running server, of unlogged relations only what they are made anew from. Of a tablespace only the
 * folder that servers of this version make: beside it may lie another cluster's, or what a mount point has of its own.
 * @param cluster its tablespaces when the backup began: replay makes one that came later
 */
export async function backupFiles(
  source: FileSource,
  cluster: { readonly major: number; readonly tablespaces: readonly { readonly oid: number }[] },
): Promise<BackupFiles> {
  const own = versionFolder(cluster.major);
  const oids = new Set(cluster.tablespaces.map(({ oid }) => oid));
  const directories: { path: string; mode: number }[] = [];
  const files = new FileList();
  const walk = async (folder: string): Promise<void> => {
    const entries = await source.readDirectory(folder);
    const unlogged = DATABASE.test(folder) ? unloggedIn(entries) : new Set<string>();
    for (const entry of entries) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (isTemporary(entry.name, folder) || isForeign(path, own, oids)) continue;
      const { bytes, mode, modifiedMs } = entry;
      if (entry.kind === "directory") {
        directories.push({ path, mode });
        if (!EMPTIED.has(path)) await walk(path);
      } else if (!isLeftOut(path, entry.name) && !isUnlogged(entry.name, unlogged))
        files.add({ path, bytes, mode, modifiedMs });
    }
  };
  await walk("");
  return { directories, files };
}

function isForeign(path: string, own: RegExp, tablespaces: ReadonlySet<number>): boolean {
  if (path.startsWith("pg_wal/")) return !OF_WAL.has(path);
  const [, oid, name] = IN_TABLESPACE.exec(path) ?? [];
  if (oid === undefined) return false;
  return !tablespaces.has(Number(oid)) || (name !== undefined && !own.test(name));
}

function isTemporary(name: string, folder: string): boolean {
  if (name.startsWith("pgsql_tmp")) return true;
  return DATABASE.test(folder) && TEMPORARY_RELATION.test(name);
}

function isLeftOut(path: string, name: string): boolean {
  return LEFT_OUT.has(path) || name.startsWith("pg_internal.init") || name === ".DS_Store";
}

/** Relations with an `_init` fork: from it the others are made when the server recovers. */
function unloggedIn(entries: readonly DirectoryEntry[]): Set<string> {
  const numbers = entries.map(({ name }) => /^(\d+)_init$/.exec(name)?.[1]);
  return new Set(numbers.filter((number) => number !== undefined));
}

function isUnlogged(name: string, unlogged: ReadonlySet<string>): boolean {
  const match = RELATION.exec(name);
  return match !== null && match[2] !== "init" && unlogged.has(match[1] as string);
}
