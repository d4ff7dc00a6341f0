import type { WrittenRow, WrittenRows } from "./sides.ts";

/** Beyond so many rows of a table the rest is only counted, so that memory stays bounded. */
const MAX_KEPT = 10_000;
const SAMPLE = 5;

/** Rows that SQLite wrote and Postgres need not hold yet, each by its key. */
export class InFlight {
  /** Keys as both sides spell them, with what people read. */
  readonly rows = new Map<string, string>();
  #beyond = 0;

  add({ key, shown }: WrittenRow): void {
    if (this.room > 0) this.rows.set(key, shown);
    else this.#beyond++;
  }

  /** How many more are kept. */
  get room(): number {
    return MAX_KEPT - this.rows.size;
  }

  addAll({ rows, count }: WrittenRows): void {
    for (const row of rows) this.add(row);
    this.#beyond += count - rows.length;
  }

  /** Whether some were only counted. */
  get isOverfull(): boolean {
    return this.#beyond > 0;
  }

  get count(): number {
    return this.rows.size + this.#beyond;
  }

  get sample(): readonly string[] {
    return [...this.rows.values()].slice(0, SAMPLE);
  }
}
