import { InFlight } from "./in-flight.ts";

const SHOWN_DIFFERENCES = 20;

/** A row that the two sides do not hold alike. */
export interface Difference {
  /** The key's values; without a key SQLite's rowid or Postgres's ctid. */
  readonly key: string;
  readonly kind: "missing-in-postgres" | "missing-in-sqlite" | "different";
  /** The columns that differ, as far as they were looked at. */
  readonly columns: readonly string[];
}

/** The same as it is found, whether or not that proves anything yet. */
export interface UnlikeRow {
  /** As both sides spell it alike, and as people read it. */
  readonly key: string;
  readonly shown: string;
  readonly kind: Difference["kind"];
}

/** Gathers what the comparison of one table finds. */
export class Differences {
  readonly found: Difference[] = [];
  readonly inFlight = new InFlight();
  here = 0;
  there = 0;
  count = 0;

  /** How many more are shown. */
  get room(): number {
    return SHOWN_DIFFERENCES - this.found.length;
  }

  rows(here: number, there: number): void {
    this.here += here;
    this.there += there;
  }

  add(difference: Difference): void {
    this.count++;
    if (this.room > 0) this.found.push(difference);
  }
}
