import type { PlannedTable } from "./plan.ts";

/**
 * What the steps of a load do in a second, each alone. Measured with Node 20, better-sqlite3 12 and Postgres 15 on two cores and one
 * SSD, files in the page cache, fsync on, where nothing else ran: 5,000,000 rows of 47 bytes and 1,000,000 of 1.3 KB. Between
 * two runs of one and the same load lay a factor of up to 2.
 */
const RATES = {
  /** Reading all rows of SQLite once, as the profile does: 601,000 a second. */
  profile: { rows: 600_000, bytes: 230e6 },
  /** COPY: 972,000 narrow rows at best and 435,000 in a loud minute; 94 to 111 MB of wide ones. */
  copy: { rows: 500_000, bytes: 100e6 },
  /** One key or index: 1.9 million rows a second for a primary key, 0.5 to 1 million for a compound index. */
  index: { rows: 1_000_000 },
  /** Both sides, one after the other: 490,000 rows a second in SQLite, 424,000 in Postgres; wide rows by their bytes. */
  compare: { rows: 230_000, bytes: 100e6 },
} as const;

/** Connecting, planning and the catalog, whatever the size. */
const FIXED_SECONDS = 1;

/**
 * An estimate of how long a load of these tables takes, in whole seconds: by their rows and bytes and the rates above, not by a
 * measurement on this machine. A remote server, slow disks or other work make it longer.
 */
export function expectedSeconds(tables: readonly PlannedTable[]): number {
  const steps = [RATES.profile, RATES.copy, RATES.compare];
  const seconds = tables.flatMap(({ rows, bytes, constraints, indexes }) => {
    const keys = constraints.filter(({ kind }) => kind === "primary-key" || kind === "unique");
    return [
      ...steps.map((rate) => Math.max(rows / rate.rows, bytes / rate.bytes)),
      ((keys.length + indexes.length) * rows) / RATES.index.rows,
    ];
  });
  return Math.ceil(seconds.reduce((sum, one) => sum + one, FIXED_SECONDS));
}
