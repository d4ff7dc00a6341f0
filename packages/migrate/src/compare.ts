import { type CopiesCompared, compareCopies } from "./compare/compare-copies.ts";
import type { CompareInput } from "./compare/compare-input.ts";
import { compareKeyed } from "./compare/compare-keyed.ts";
import { type Difference, Differences } from "./compare/differences.ts";
import { RowsInFlight } from "./compare/rows-in-flight.ts";
import type { Unsettled } from "./compare/settle.ts";
import type { CopiesThere, Sides } from "./compare/sides.ts";
import type { PlannedTable } from "./plan.ts";

export interface TableComparison {
  readonly name: string;
  readonly rows: number;
  readonly rowsInPostgres: number;
  readonly equal: boolean;
  /** How many rows differ. */
  readonly differing: number;
  /** The first of them. */
  readonly differences: readonly Difference[];
  /** Rows that SQLite had just written, and that Postgres did not get while the comparison waited. */
  readonly inFlight: number;
}

/**
 * Compares every value of a table on both sides, as SQLite holds it: what Postgres stores is brought
 * back by its codec first, there, in SQL. Differing rows are named by their keys.
 */
export async function compareTable(input: CompareInput): Promise<TableComparison> {
  const differences = new Differences();
  if (input.table.key.length === 0) await compareCopies(input, differences);
  else await compareKeyed(input, differences, { isIndexed: isWalkedInOrder(input.table) });
  const isEqual = differences.count === 0 && differences.here === differences.there;
  return { ...comparison(input.table, differences), equal: isEqual };
}

/**
 * The same of a table with a key while SQLite is written, part by part, each at a moment of its own: a row that was written since, as
 * the sides tell, is left to whoever brings it, and is of no account here. Where nothing but the rowid tells rows apart it says nothing
 * unless the log is still known at its end: a VACUUM between two parts takes rows past both.
 */
export async function compareUnwritten(
  input: CompareInput & { readonly sides: Sides },
): Promise<TableComparison> {
  const differences = new Differences();
  await compareKeyed(input, differences, { isIndexed: isWalkedInOrder(input.table) });
  return comparison(input.table, differences);
}

/** A table that is compared while it is written: what could not be told yet, and what is known once that is settled. */
export interface LiveComparison {
  readonly unsettled: readonly Unsettled[];
  result(): { readonly table: TableComparison; readonly inFlightSample: readonly string[] };
}

/** The same while SQLite is written, and a sync brings that over. */
export async function compareLiveTable(
  input: CompareInput & { readonly sides: Sides },
): Promise<LiveComparison> {
  const { table, sides } = input;
  if (table.key.length === 0) {
    const copies = new LiveCopies(input);
    await copies.compare();
    return { unsettled: copies.isSettled ? [] : [copies], result: () => copies.result() };
  }
  const rows = new LiveRows(input, sides);
  await rows.compare();
  return {
    unsettled: rows.differences.inFlight.count > 0 ? [rows] : [],
    // Both counts are of different moments: whether a row is missing, its key has told.
    result: () => ({
      table: comparison(table, rows.differences),
      inFlightSample: rows.differences.inFlight.sample,
    }),
  };
}

/** The rows of a table with a key, and those of them in flight. */
class LiveRows implements Unsettled {
  readonly #input: CompareInput;
  readonly #sides: Sides;
  differences = new Differences();

  constructor(input: CompareInput, sides: Sides) {
    this.#input = input;
    this.#sides = sides;
  }

  async compare(): Promise<void> {
    this.differences = new Differences();
    const inFlight = this.#inFlight();
    await compareKeyed(this.#input, this.differences, {
      isIndexed: isWalkedInOrder(this.#input.table),
      afterChunk: () => inFlight.thinOut(),
    });
  }

  /** Where more were in flight than could be kept, the whole table is compared again once those are settled. */
  async settle(): Promise<boolean> {
    const isSettled = await this.#inFlight().settle();
    if (isSettled && this.differences.inFlight.isOverfull) await this.compare();
    return this.differences.inFlight.count === 0;
  }

  #inFlight(): RowsInFlight {
    return new RowsInFlight(this.#input, this.#sides, this.differences);
  }
}

/**
 * Rows without a key: compared at a moment at which none of them is in flight, or as the side that follows held them; then what was
 * written since is told until that side holds it.
 */
class LiveCopies implements Unsettled {
  readonly #input: CompareInput & { readonly sides: Sides };
  #differences = new Differences();
  #compared: CopiesCompared = { untold: 0, behind: null };

  constructor(input: CompareInput & { readonly sides: Sides }) {
    this.#input = input;
  }

  get isSettled(): boolean {
    return this.#compared.untold === 0 && this.#compared.behind === null;
  }

  async compare(): Promise<void> {
    this.#differences = new Differences();
    this.#compared = await compareCopies(this.#input, this.#differences);
  }

  async settle(): Promise<boolean> {
    if (this.#compared.untold > 0) await this.compare();
    else this.#compared = { untold: 0, behind: await this.#stillBehind() };
    return this.isSettled;
  }

  result(): ReturnType<LiveComparison["result"]> {
    const { untold, behind } = this.#compared;
    const compared = comparison(this.#input.table, this.#differences);
    const table =
      untold > 0
        ? { ...compared, equal: false, inFlight: untold }
        : { ...compared, inFlight: behind?.written ?? 0 };
    return { table, inFlightSample: [] };
  }

  /** Once SQLite holds another snapshot of Postgres it holds what was written before that. */
  async #stillBehind(): Promise<CopiesThere | null> {
    const { sides, table } = this.#input;
    const now = await sides.look(async (moment) => moment.copiesThere?.(table) ?? null);
    return now?.since === this.#compared.behind?.since ? now : null;
  }
}

function comparison(table: PlannedTable, differences: Differences): TableComparison {
  return {
    name: table.name,
    rows: differences.here,
    rowsInPostgres: differences.there,
    equal: differences.count === 0,
    differing: differences.count,
    differences: differences.found,
    inFlight: differences.inFlight.count,
  };
}

/** Beyond so many rows, reading the whole table again for each small chunk of it would cost too much. */
const MAX_UNINDEXED_ROWS = 100_000;

/** Whether Postgres can walk a table's key in SQLite's order by its index: unless that sorts texts by a language. */
function isWalkedInOrder(table: PlannedTable): boolean {
  const types = table.key.map((name) => table.columns.find((one) => one.source === name)?.type);
  return table.rows <= MAX_UNINDEXED_ROWS || !types.includes("text");
}
