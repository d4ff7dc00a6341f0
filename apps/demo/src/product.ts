import { join } from "node:path";
import * as cronping from "@lifeboat/cronping";
import * as documint from "@lifeboat/documint";
import * as flagbit from "@lifeboat/flagbit";
import * as webhookvault from "@lifeboat/webhookvault";
import type { DemoFolder } from "./folder.ts";
import type { TrafficProcess } from "./traffic-process.ts";

export type ProductName = "documint" | "cronping" | "flagbit" | "webhookvault";

/** What a product's own package says of it. */
type ProductModule = Pick<typeof documint, "checks" | "createDatabase" | "trafficProgram">;

interface ProductSource extends ProductModule {
  readonly name: ProductName;
  /** Of its busiest table, at the start: some megabytes. */
  readonly rows: number;
  /** The table to which every transaction of the product adds a row. */
  readonly ledger: string;
}

const PRODUCTS: readonly ProductSource[] = [
  { name: "documint", rows: 12_000, ledger: "activity", ...documint },
  { name: "cronping", rows: 60_000, ledger: "activity", ...cronping },
  { name: "flagbit", rows: 30_000, ledger: "audit_log", ...flagbit },
  { name: "webhookvault", rows: 12_000, ledger: "activity", ...webhookvault },
];

/** A product that lives on this machine for the length of the show. */
export interface Product extends ProductSource {
  /** Its SQLite database. */
  readonly path: string;
  /** What tells its command where its databases and its repository lie. */
  readonly environment: Record<string, string>;
  /** Writes into its SQLite database; null once it has moved. */
  traffic: TrafficProcess | null;
}

export function productsIn(folder: DemoFolder): Product[] {
  return PRODUCTS.map((source) => {
    const path = join(folder.databases, `${source.name}.db`);
    const prefix = source.name.toUpperCase();
    const environment = {
      [`${prefix}_REPOSITORY`]: folder.repository,
      [`${prefix}_SQLITE`]: path,
    };
    return { ...source, path, environment, traffic: null };
  });
}

export function productNamed(products: readonly Product[], name: ProductName): Product {
  const product = products.find((each) => each.name === name);
  if (product === undefined) throw new Error(`there is no product ${name}`);
  return product;
}
