import { lifeboat } from "./lifeboat.ts";
import { blank, duration, heading, size, table } from "./narration.ts";
import type { Product } from "./product.ts";
import type { Show } from "./show.ts";

type EngineKind = "sqlite" | "postgres";

/** What one database of a product went through. */
export interface Result {
  readonly product: string;
  readonly engine: EngineKind;
  /** Bytes of the database, and of its backup. */
  readonly sourceBytes: number;
  readonly storedBytes: number;
  /** Of the backup. */
  readonly seconds: number;
  /** What the comparison of the restored copy said. */
  outcome: string;
}

/** What the scenes found out, for the closing table. */
export class Results {
  readonly rows: Result[] = [];

  add(result: Result): void {
    this.rows.push(result);
  }

  /** @throws Error when there is no backup of it: a scene was left out */
  conclude(product: string, engine: EngineKind, outcome: string): void {
    const row = this.rows.find((each) => each.product === product && each.engine === engine);
    if (row === undefined) throw new Error(`${product} has no backup from ${engine}`);
    row.outcome = outcome;
  }
}

interface Listing {
  readonly windows: readonly {
    readonly engine: EngineKind;
    readonly from: string;
    readonly to: string;
  }[];
}

/** Product, engine, size, time, restorable from and to, result. */
export async function closingTable(
  show: Show,
  products: readonly Product[],
  results: Results,
): Promise<void> {
  heading("What can be had back, and from when to when");
  const windows = new Map<string, Listing["windows"]>();
  for (const product of products) {
    windows.set(product.name, (await lifeboat<Listing>(show, product, ["list"])).windows);
  }
  blank();
  table(
    ["product", "engine", "size", "stored", "time", "restorable from", "to", "result"],
    results.rows.map((row) => [
      row.product,
      row.engine,
      size(row.sourceBytes),
      size(row.storedBytes),
      duration(row.seconds),
      ...spanOf(row, windows.get(row.product) ?? []),
      row.outcome,
    ]),
  );
}

function spanOf(row: Result, windows: Listing["windows"]): [string, string] {
  const own = windows.filter((window) => window.engine === row.engine);
  const [first] = own;
  const last = own.at(-1);
  if (first === undefined || last === undefined) {
    throw new Error(`${row.product} has a backup from ${row.engine} but no recovery window`);
  }
  return [clock(first.from), clock(last.to)];
}

/** The time of day, UTC: a show does not last a day. */
function clock(instant: string): string {
  return instant.slice(11, 23);
}
