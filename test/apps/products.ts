import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as cronping from "@lifeboat/cronping";
import * as documint from "@lifeboat/documint";
import * as flagbit from "@lifeboat/flagbit";
import * as webhookvault from "@lifeboat/webhookvault";
import Database from "better-sqlite3";
import { execa } from "execa";
import { onTestFinished } from "vitest";

export interface Product
  extends Pick<typeof documint, "checks" | "createDatabase" | "trafficProgram"> {
  readonly name: "cronping" | "documint" | "flagbit" | "webhookvault";
  /** The table to which every transaction of the product adds a row. */
  readonly ledger: string;
  readonly schema: Readonly<Record<"sqlite" | "postgres", () => Promise<Record<string, unknown>>>>;
}

export const products: readonly Product[] = [
  { name: "cronping", ledger: "activity", ...cronping },
  { name: "documint", ledger: "activity", ...documint },
  { name: "flagbit", ledger: "audit_log", ...flagbit },
  { name: "webhookvault", ledger: "activity", ...webhookvault },
];

/** Makes the product's database in a folder that goes when the test ends; gives the file's path. */
export async function createProduct(product: Product, rows = 200): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), `lifeboat-${product.name}-`));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, `${product.name}.db`);
  await product.createDatabase({ path, rows });
  return path;
}

/** The names of the product's checks that are not true of this database. */
export function failedChecks(product: Product, path: string): string[] {
  const database = new Database(path, { readonly: true });
  try {
    return product.checks
      .filter(({ sql }) => {
        if (typeof sql !== "string")
          throw new Error("these products' checks are one text for both");
        return database.prepare(sql).pluck().get() !== 1;
      })
      .map(({ name }) => name);
  } finally {
    database.close();
  }
}

/** Runs the product's own command, as a process of its own. */
export function runCommand(
  product: Product,
  words: readonly string[],
  env: Readonly<Record<string, string>>,
) {
  const bin = `../../apps/${product.name}/bin/lifeboat-${product.name}.cjs`;
  const path = fileURLToPath(new URL(bin, import.meta.url));
  return execa(process.execPath, [path, ...words], { env, reject: false });
}
