import { LifeboatError } from "@lifeboat/core";
import type { PackedBytes } from "../packed/bytes.ts";
import { type ManifestFile, manifestFiles } from "./backup-manifest.ts";
import { FileSizes } from "./file-sizes.ts";
import { TarWatch } from "./tar-watch.ts";
import type { TablespaceArchive } from "./transport.ts";

/** What stands in no manifest: the manifest itself, which pg_basebackup puts into its archive. */
const MANIFEST = "backup_manifest";
/** How many names an error tells: there may be thousands. */
const MOST_NAMED = 5;
const MOST_KEPT = 100;

/**
 * Keeps account of every file that passes in the archives of a base backup, and proves in the end that
 * they are the files that the server's own manifest lists, each of its size. Whatever lost bytes on
 * the way (a program, a pipe, a connection) has lost a file with them, or a part of one.
 */
export class ArchiveProof {
  readonly #sizes = new FileSizes();
  readonly #watches: { readonly watch: TarWatch; readonly name: string }[] = [];
  #manifest: PackedBytes | undefined;

  /** The archive, its files being counted as it is read. */
  watching({ content, ...archive }: TablespaceArchive): TablespaceArchive {
    const { tablespace } = archive;
    const folder = tablespace ? `pg_tblspc/${tablespace.oid}/` : "";
    const watch = new TarWatch(tablespace ? [] : [MANIFEST], (file) =>
      this.#note(`${folder}${file.path}`, file.bytes),
    );
    this.#watches.push({ watch, name: tablespace ? String(tablespace.oid) : "base" });
    return { ...archive, content: watch.through(content) };
  }

  /** Files of an archive that does not pass, since it is stored already. */
  stored(files: readonly ManifestFile[]): void {
    for (const { path, bytes } of files) this.#note(Buffer.from(path).toString("latin1"), bytes);
  }

  /** The manifest that lay in the data directory's own archive. Only after that has passed. */
  get manifest(): PackedBytes | undefined {
    this.#manifest ??= this.#watches[0]?.watch.members.get(MANIFEST);
    return this.#manifest;
  }

  /**
   * @throws LifeboatError `BASE_BACKUP_INCOMPLETE` naming the first files that are missing, foreign or
   *   of another size; `BACKUP_MANIFEST_INVALID`
   */
  assertHolds(manifest: PackedBytes): void {
    for (const { watch, name } of this.#watches)
      if (!watch.whole) throw incomplete([`the archive ${name} is cut short`]);
    const faults: string[] = [];
    let count = 0;
    for (const fault of differences(manifestFiles(manifest), this.#sizes))
      if (count++ < MOST_KEPT) faults.push(fault);
    if (count > 0) throw incomplete(faults, count);
  }

  #note(path: string, bytes: number): void {
    if (path === MANIFEST) return;
    // A second one of a name would hide the first when both are unpacked.
    if (!this.#sizes.add(path, bytes)) throw incomplete([`${path} comes twice`]);
  }
}

function* differences(listed: Iterable<ManifestFile>, found: FileSizes): Generator<string> {
  for (const { path, bytes } of listed) {
    const size = found.take(path);
    if (size === undefined) yield `${path} is missing`;
    else if (size !== bytes) yield `${path} has ${size} bytes instead of ${bytes}`;
  }
  for (const path of found.left()) yield `${path} is not in the manifest`;
}

function incomplete(faults: readonly string[], count = faults.length): LifeboatError {
  const named = faults.slice(0, MOST_NAMED).join("; ");
  const more = count > MOST_NAMED ? `; and ${count - MOST_NAMED} more` : "";
  return new LifeboatError({
    code: "BASE_BACKUP_INCOMPLETE",
    message: `what came is not what the server's manifest lists: ${named}${more}`,
    remedy: "run the backup again; with another --transport if it happens twice",
    details: { faults, count },
  });
}
