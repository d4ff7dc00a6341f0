import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import type { UnlikeRow } from "./differences.ts";
import type { RowForm } from "./digest-rows.ts";
import { type RangeSql, spelledKey } from "./row-key.ts";

const DIGEST_DIGITS = 32;
/** In place of a row's digest, once one of Postgres bore its key. */
const [EQUAL, DIFFERENT] = ["", "!"];

/** A row of Postgres: its key, as both sides spell it alike and as people read it, and its digest. */
export interface RowThere {
  readonly key: string;
  readonly shown: string;
  readonly digest: string;
}

/** Rows of SQLite in one snapshot, met one by one with those of Postgres, which may be any number. */
export class RowsHere {
  /** By the key: the digest and, in the same string, the key as people read it. */
  readonly #rows = new Map<string, string>();

  /** To be called in the snapshot. */
  constructor({ db, table }: CompareInput, { terms, canon }: RowForm, { where, values }: RangeSql) {
    const shown = terms
      .map((term) => `coalesce(CAST(${term.input} AS TEXT), '')`)
      .join(" || ', ' || ");
    const rows = db
      .prepare<unknown[], [string, string]>(
        `SELECT ${spelledKey(terms)}, lifeboat_md5(${canon.sqlite}) || ${shown} FROM ${quoteName(table.name)} ${where}`,
      )
      .raw()
      .iterate(...values);
    for (const [spelled, row] of rows) {
      let key = spelled;
      while (this.#rows.has(key)) key += "+";
      this.#rows.set(key, row);
    }
  }

  /** @returns a row of Postgres whose key none of SQLite bears; undefined where one does */
  meet({ key: spelled, shown, digest }: RowThere): UnlikeRow | undefined {
    let key = spelled;
    // A key that comes twice, where no constraint of Postgres forbids it, is a row more.
    while (this.#isMet(key)) key += "+";
    const row = this.#rows.get(key);
    if (row === undefined) return { key, shown, kind: "missing-in-sqlite" };
    this.#rows.set(key, row.startsWith(digest) ? EQUAL : DIFFERENT + row.slice(DIGEST_DIGITS));
    return undefined;
  }

  /** Once all were met: those that are not equal to one of Postgres, some at a time. */
  *unlike(atOnce: number): Generator<UnlikeRow[]> {
    let batch: UnlikeRow[] = [];
    for (const [key, row] of this.#rows) {
      if (row === EQUAL) continue;
      if (row.startsWith(DIFFERENT)) batch.push({ key, shown: row.slice(1), kind: "different" });
      else batch.push({ key, shown: row.slice(DIGEST_DIGITS), kind: "missing-in-postgres" });
      if (batch.length < atOnce) continue;
      yield batch;
      batch = [];
    }
    yield batch;
  }

  #isMet(key: string): boolean {
    const row = this.#rows.get(key);
    return row === EQUAL || row?.startsWith(DIFFERENT) === true;
  }
}
