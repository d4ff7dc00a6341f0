import { inParallel } from "../../in-parallel.ts";
import type { CorruptPage } from "../corrupt-page.ts";
import type {
  BaseBackupRequest,
  InterruptedBaseBackup,
  StoredFile,
  StoredPart,
} from "../transport.ts";
import type { BackupFile } from "./backup-file.ts";
import type { BackupFiles } from "./backup-files.ts";
import { contentOf, type Taking } from "./bundle-tar.ts";
import type { TakenFile } from "./manifest-writer.ts";

/**
 * Keeps of what an interrupted backup stored the archives whose every file is the same now, and discards the others.
 *
 * Proof is the content alone: each file is read, while the server is in backup mode, as it would be for a new
 * archive, and its SHA-256 compared. What agrees is what a new archive would hold, so nothing needs to be known of
 * what happened since. Size and time of a file are no proof (a write within the same second leaves them), nor are the
 * positions in its pages (hint bits and unlogged relations do not move them). An archive is of use only as a whole, since what is stored is never rewritten.
 *
 * @returns the files of what was kept
 */
export async function reuseParts(
  found: BackupFiles,
  { interrupted, jobs, signal }: BaseBackupRequest,
  taking: Omit<Taking, "signal" | "taken">,
): Promise<TakenFile[]> {
  const kept: TakenFile[] = [];
  if (!interrupted) return kept;
  const reuse = new Reuse(found, interrupted, taking);
  await inParallel(interrupted.parts, { jobs, signal }, async (part, both) => {
    const same = await reuse.unchanged(part, both);
    if (!same || !(await part.keep())) return part.discard();
    kept.push(...same.files);
    taking.corrupt.push(...same.corrupt);
  });
  return kept;
}

/** What is there now, to be compared with what was stored. */
class Reuse {
  readonly #files: ReadonlyMap<string, BackupFile>;
  readonly #folders: ReadonlyMap<string, number>;
  /** Of one path no two archives may be kept: a backup would hold it twice. */
  readonly #claimed = new Set<string>();
  readonly #interrupted: InterruptedBaseBackup;
  readonly #taking: Omit<Taking, "signal" | "taken">;

  constructor(
    found: BackupFiles,
    interrupted: InterruptedBaseBackup,
    taking: Omit<Taking, "signal" | "taken">,
  ) {
    this.#files = new Map(Iterator.from(found.files).map((file) => [file.path, file]));
    this.#folders = new Map(found.directories.map(({ path, mode }) => [path, mode]));
    this.#interrupted = interrupted;
    this.#taking = taking;
  }

  /** Its files, when all of them are what the archive holds; undefined else. */
  async unchanged(
    { files, folders }: StoredPart,
    signal: AbortSignal,
  ): Promise<{ files: readonly TakenFile[]; corrupt: readonly CorruptPage[] } | undefined> {
    if (files.length === 0) return undefined;
    if (!folders.every(({ path, mode }) => this.#folders.get(path) === mode)) return undefined;
    if (!files.every((file) => this.#looksTheSame(file))) return undefined;
    for (const { path } of files) this.#claimed.add(path);
    const corrupt: CorruptPage[] = [];
    let read = 0;
    const pass = (bytes: number) => {
      read += bytes;
      this.#taking.pass(bytes);
    };
    for (const file of this.#likelyChangedFirst(files))
      if (!(await this.#isSame(file, { ...this.#taking, pass, corrupt, signal }))) {
        // It will pass once more, in another archive.
        this.#taking.pass(-read);
        return undefined;
      }
    return { files, corrupt };
  }

  #looksTheSame({ path, bytes, mode }: StoredFile): boolean {
    const now = this.#files.get(path);
    return now?.bytes === bytes && now.mode === mode && !this.#claimed.has(path);
  }

  /** So that little is read of an archive that is of no use. */
  #likelyChangedFirst(files: readonly StoredFile[]): StoredFile[] {
    const second = (ms = 0) => Math.floor(ms / 1000);
    const isTouched = ({ path, modified }: StoredFile) =>
      second(this.#files.get(path)?.modifiedMs) !== second(modified.getTime());
    return files.toSorted((a, b) => Number(isTouched(b)) - Number(isTouched(a)));
  }

  async #isSame({ path, sha256 }: StoredFile, taking: Omit<Taking, "taken">): Promise<boolean> {
    taking.signal.throwIfAborted();
    const file = await taking.source.open(path);
    if (!file) return false;
    try {
      const taken: TakenFile[] = [];
      for await (const _ of this.#interrupted.reading(contentOf(path, file, { ...taking, taken })));
      return taken[0]?.sha256 === sha256;
    } finally {
      await file.close();
    }
  }
}
