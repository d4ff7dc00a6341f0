import { existsSync } from "node:fs";
import Database from "better-sqlite3";
import { type Refusal, refusalOf } from "./freeze.ts";

/** How a SQLite database refuses its product's writes, by the file alone; null where it takes them, or is not there. */
export function sqliteRefusal(path: string): Refusal | null {
  if (!existsSync(path)) return null;
  const db = new Database(path, { readonly: true, timeout: 10_000 });
  try {
    return refusalOf(db);
  } finally {
    db.close();
  }
}
