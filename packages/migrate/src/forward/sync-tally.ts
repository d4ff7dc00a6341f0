import type { Applied, AppliedTable } from "./apply-changes.ts";

export interface SyncedTable extends AppliedTable {
  /** Rows that were written or removed in Postgres. */
  readonly rows: number;
}

/** What several looks brought, summed up by table. */
export class SyncTally {
  batches = 0;
  rows = 0;
  readonly #tables = new Map<string, SyncedTable>();

  add({ tables }: Applied): void {
    this.batches++;
    for (const { name, written, removed } of tables) {
      const before = this.#tables.get(name);
      this.rows += Math.max(written, removed);
      this.#tables.set(name, {
        name,
        rows: Math.max(written, removed) + (before?.rows ?? 0),
        written: written + (before?.written ?? 0),
        removed: removed + (before?.removed ?? 0),
      });
    }
  }

  get tables(): readonly SyncedTable[] {
    return [...this.#tables.values()];
  }
}
