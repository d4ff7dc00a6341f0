import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import {
  boundColumns,
  type KeyBound,
  type KeyRange,
  type KeyTerm,
  sqliteRange,
} from "./row-key.ts";
import type { Sides } from "./sides.ts";

/** More rows of a range than this, that were written since, are not left out at once: their keys are held in memory. */
const MOST_WRITTEN = 50_000;

interface Ranges {
  /** How many rows of SQLite each holds, or some more. */
  readonly rows: number;
  readonly within: KeyRange;
}

/**
 * Ranges of a table's key that hold some rows of SQLite each, not too many that were written since, and together every key
 * of either side. A range ends only at a key that both sides read as the same value, since they would else part their rows at different places.
 */
export async function* keyRanges(
  input: CompareInput,
  terms: readonly KeyTerm[],
  ranges: Ranges,
  sides: Sides,
): AsyncGenerator<KeyRange> {
  for await (const range of rangesOfRows(input, terms, ranges, sides)) {
    const { table } = input;
    let { from } = range;
    for (;;) {
      const rest = { from, to: range.to };
      const nth = (offset: number) => sides.log((written) => written.nthKey(table, rest, offset));
      const to = await boundAt(input, terms, { nth, rows: MOST_WRITTEN, ask: sides.ask });
      if (to === null) break;
      yield { from, to };
      from = to;
    }
    yield { from, to: range.to };
  }
}

async function* rangesOfRows(
  input: CompareInput,
  terms: readonly KeyTerm[],
  { rows, within }: Ranges,
  { ask }: Sides,
): AsyncGenerator<KeyRange> {
  // A product may add rows faster than they are walked through: it is not run after.
  const end = within.to ?? lastKey(input, terms);
  let { from } = within;
  while (end !== null) {
    const nth = nthRow(input, terms, { from, to: end });
    const to = await boundAt(input, terms, { nth, rows, ask });
    if (to === null) break;
    yield { from, to };
    from = to;
  }
  // What lies behind the last key of SQLite belongs to the last chunk.
  yield { from, to: within.to };
}

function lastKey({ db, table }: CompareInput, terms: readonly KeyTerm[]): KeyBound | null {
  const row = db
    .prepare<[], unknown[]>(
      `SELECT ${terms.map((term) => term.raw).join(", ")} FROM ${quoteName(table.name)}
       ORDER BY ${terms.map((term) => `${term.sqlite} DESC`).join(", ")} LIMIT 1`,
    )
    .raw()
    .get();
  return row ? { raw: row, input: [] } : null;
}

function nthRow(
  { db, table }: CompareInput,
  terms: readonly KeyTerm[],
  range: KeyRange,
): (offset: number) => readonly unknown[] | null {
  const { where, values } = sqliteRange(terms, range);
  const order = terms.map((term) => term.sqlite).join(", ");
  const statement = db
    .prepare<unknown[], unknown[]>(
      `SELECT ${boundColumns(terms)} FROM ${quoteName(table.name)} ${where} ORDER BY ${order} LIMIT 1 OFFSET ?`,
    )
    .raw();
  return (offset) => statement.get(...values, BigInt(offset)) ?? null;
}

interface Step {
  /** What `boundColumns` gives of a key, by how many come before it. */
  nth(offset: number): readonly unknown[] | null;
  readonly rows: number;
  readonly ask: Sides["ask"];
}

async function boundAt(
  { client }: CompareInput,
  terms: readonly KeyTerm[],
  { nth, rows, ask }: Step,
): Promise<KeyBound | null> {
  const typed = terms.map((term, at) => term.boundIn(`$${at + 1}::${term.type}`)).join(", ");
  // Twice as far each time: rows whose keys Postgres can't read may be many.
  for (let [offset, further] = [rows - 1, 1]; ; offset += further, further *= 2) {
    const row = nth(offset);
    if (row === null) return null;
    const [raw, input, spelled] = [0, 1, 2].map((part) =>
      row.slice(part * terms.length, (part + 1) * terms.length),
    ) as [unknown[], unknown[], unknown[]];
    const bound = { raw, input: input.map(String) };
    const read = await ask(() =>
      client.query<unknown[]>({ text: `SELECT ${typed}`, values: bound.input, rowMode: "array" }),
    );
    if (spelled.every((one, at) => one === read?.rows[0]?.[at])) return bound;
  }
}
