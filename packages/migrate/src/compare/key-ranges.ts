import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import { type KeyBound, type KeyRange, type KeyTerm, sqliteRange } from "./row-key.ts";
import type { Sides } from "./sides.ts";

/**
 * Ranges of a table's key that hold some `rows` rows of SQLite each and together every key of either side. A range ends
 * only at a key that both sides read as the same value, since they would else part their rows at different places.
 */
export async function* keyRanges(
  input: CompareInput,
  terms: readonly KeyTerm[],
  rows: number,
  ask: Sides["ask"],
): AsyncGenerator<KeyRange> {
  // A product may add rows faster than they are walked through: it is not run after.
  const end = lastKey(input, terms);
  let from: KeyBound | null = null;
  while (end !== null) {
    const to = await nextBound(input, terms, { from, end, rows, ask });
    if (to === null) break;
    yield { from, to };
    from = to;
  }
  // What lies behind the last key of SQLite belongs to the last chunk.
  yield { from, to: null };
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

interface Step {
  readonly from: KeyBound | null;
  readonly end: KeyBound;
  readonly rows: number;
  readonly ask: Sides["ask"];
}

async function nextBound(
  { db, client, table }: CompareInput,
  terms: readonly KeyTerm[],
  { from, end, rows, ask }: Step,
): Promise<KeyBound | null> {
  const after = sqliteRange(terms, { from, to: end });
  const columns = [
    ...terms.map((term) => term.raw),
    ...terms.map((term) => term.input),
    ...terms.map((term) => term.bound),
  ];
  const order = terms.map((term) => term.sqlite).join(", ");
  const statement = db
    .prepare<unknown[], unknown[]>(
      `SELECT ${columns.join(", ")} FROM ${quoteName(table.name)} ${after.where} ORDER BY ${order} LIMIT 1 OFFSET ?`,
    )
    .raw();
  const typed = terms.map((term, at) => term.boundIn(`$${at + 1}::${term.type}`)).join(", ");
  // Twice as far each time: rows whose keys Postgres can't read may be many.
  for (let [offset, further] = [rows - 1, 1]; ; offset += further, further *= 2) {
    const row = statement.get(...after.values, BigInt(offset));
    if (!row) return null;
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
