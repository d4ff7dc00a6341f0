import type { BackupFile } from "./backup-files.ts";

/** A bundle is one tar; more would keep one worker busy when all others are done. */
const LARGEST_BUNDLE = 1 << 30;
const SMALLEST_BUNDLE = 32 << 20;
/** So that the last ones to be done are small against the whole. */
const BUNDLES_PER_JOB = 4;

export interface Bundle {
  /** The tablespace's OID; null for the data directory. */
  readonly tablespace: number | null;
  readonly files: readonly BackupFile[];
}

/** Puts files together into tars of about one size, the largest files first; each tablespace by itself. */
export function bundlesOf(files: readonly BackupFile[], jobs: number): Bundle[] {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const fair = Math.ceil(total / (jobs * BUNDLES_PER_JOB));
  const size = Math.min(LARGEST_BUNDLE, Math.max(SMALLEST_BUNDLE, fair));
  const bundles: Bundle[] = [];
  const open = new Map<number | null, { files: BackupFile[]; bytes: number }>();
  for (const file of files.toSorted((a, b) => b.bytes - a.bytes)) {
    const tablespace = tablespaceOf(file.path);
    const bundle = open.get(tablespace) ?? { files: [], bytes: 0 };
    bundle.files.push(file);
    bundle.bytes += file.bytes;
    open.set(tablespace, bundle);
    if (bundle.bytes < size) continue;
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
