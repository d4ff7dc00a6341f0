import { join } from "node:path";
import { execa } from "execa";
import { type LedgerShape, makeLedger, testFolder } from "./sqlite.ts";
import { SqliteApp } from "./sqlite-repository.ts";

/** An app whose database holds a ledger, in a folder of its own. */
export async function ledgerApp(
  shape: LedgerShape = {},
  limits: SqliteApp["limits"] = {},
): Promise<SqliteApp> {
  const folder = await testFolder();
  const path = join(folder, "app.db");
  makeLedger(path, shape);
  return new SqliteApp(folder, path, limits);
}

/** What the `sqlite3` command says: another program that writes as a product does. */
export async function sqlite3(path: string, statement: string): Promise<string> {
  const { stdout } = await execa("sqlite3", ["-cmd", ".timeout 20000", path, statement]);
  return stdout;
}
