import type { BackupFile } from "./backup-files.ts";

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
  readonly files: readonly BackupFile[];
}

/**
 * Puts files together into tars of about one size; each tablespace by itself. Files that rest come first and not
 * together with those that do not, so that what an interrupted backup stored can still be used by the next: a
 * bundle is of use only as a whole. Among them the largest first.
 */
export function bundlesOf(files: readonly BackupFile[], jobs: number): Bundle[] {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const fair = Math.ceil(total / (jobs * BUNDLES_PER_JOB));
  const size = Math.min(LARGEST_BUNDLE, Math.max(SMALLEST_BUNDLE, fair));
  const newest = files.reduce((latest, { modifiedMs }) => Math.max(latest, modifiedMs), 0);
  const rests = ({ modifiedMs }: BackupFile) => newest - modifiedMs > RESTING_MS;
  const [resting, written] = [files.filter(rests), files.filter((file) => !rests(file))];
  return [...packed(resting, size), ...packed(written, size)];
}

function packed(files: readonly BackupFile[], size: number): Bundle[] {
  const bundles: Bundle[] = [];
  const open = new Map<number | null, { files: BackupFile[]; bytes: number }>();
  for (const file of files.toSorted((a, b) => b.bytes - a.bytes)) {
    const tablespace = tablespaceOf(file.path);
    let bundle = open.get(tablespace);
    if (bundle && bundle.bytes + file.bytes > LARGEST_BUNDLE) {
      bundles.push({ tablespace, files: bundle.files });
      bundle = undefined;
    }
    bundle ??= { files: [], bytes: 0 };
    bundle.files.push(file);
    bundle.bytes += file.bytes;
    open.set(tablespace, bundle);
    if (bundle.bytes < size && bundle.files.length < MOST_FILES) continue;
    bundles.push({ tablespace, files: bundle.files });
    open.delete(tablespace);
  }
  for (const [tablespace, { files }] of open) bundles.push({ tablespace, files });
  return bundles;
}

/** Of a path below `pg_tblspc/<oid>/`. */
export function tablespaceOf(path: string): number | null {
  const oid = /^pg_tblspc\/(\d+)\//.exec(path)?.[1];
  return oid === undefined ? null : Number(oid);
}
