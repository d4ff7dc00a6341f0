import type { BackupFile } from "./backup-file.ts";
import type { FileList, Files } from "./file-list.ts";

/** A bundle is one tar; more would keep one worker busy when all others are done. */
const LARGEST_BUNDLE = 1 << 30;
const SMALLEST_BUNDLE = 32 << 20;
/** A bundle tells of each file in its note, which must stay small against it. */
const MOST_FILES = 20_000;
/** What was written less long ago than this, against the file that was written last, is likely to be written again. */
const RESTING_MS = 60 * 60_000;
/** So that the last ones to be done are small against the whole. */
const BUNDLES_PER_JOB = 4;

export interface Bundle {
  /** The tablespace's OID; null for the data directory. */
  readonly tablespace: number | null;
  readonly files: Files;
}

/**
 * Puts files together into tars of about one size; each tablespace by itself. Files that rest come first and not
 * together with those that do not, so that what an interrupted backup stored can still be used by the next: a
 * bundle is of use only as a whole. Among them the largest first.
 */
export function bundlesOf(files: FileList, jobs: number): Bundle[] {
  const fair = Math.ceil(files.totalBytes / (jobs * BUNDLES_PER_JOB));
  const size = Math.min(LARGEST_BUNDLE, Math.max(SMALLEST_BUNDLE, fair));
  const { newestMs } = files;
  const rests = ({ modifiedMs }: BackupFile) => newestMs - modifiedMs > RESTING_MS;
  const order = files.largestFirst();
  const some = (which: (file: BackupFile) => boolean) => packed(files, { order, which, size });
  return [...some(rests), ...some((file) => !rests(file))];
}

interface Packing {
  readonly order: Uint32Array;
  readonly which: (file: BackupFile) => boolean;
  readonly size: number;
}

function packed(files: FileList, { order, which, size }: Packing): Bundle[] {
  const bundles: Bundle[] = [];
  const open = new Map<number | null, { numbers: number[]; bytes: number }>();
  const close = (tablespace: number | null, numbers: readonly number[]) =>
    void bundles.push({ tablespace, files: files.select(numbers) });
  for (const number of order) {
    const file = files.at(number);
    if (!which(file)) continue;
    const tablespace = tablespaceOf(file.path);
    let bundle = open.get(tablespace);
    if (bundle && bundle.bytes + file.bytes > LARGEST_BUNDLE) {
      close(tablespace, bundle.numbers);
      bundle = undefined;
    }
    bundle ??= { numbers: [], bytes: 0 };
    bundle.numbers.push(number);
    bundle.bytes += file.bytes;
    open.set(tablespace, bundle);
    if (bundle.bytes < size && bundle.numbers.length < MOST_FILES) continue;
    close(tablespace, bundle.numbers);
    open.delete(tablespace);
  }
  for (const [tablespace, { numbers }] of open) close(tablespace, numbers);
  return bundles;
}

/** Of a path below `pg_tblspc/<oid>/`. */
export function tablespaceOf(path: string): number | null {
  const oid = /^pg_tblspc\/(\d+)\//.exec(path)?.[1];
  return oid === undefined ? null : Number(oid);
}
