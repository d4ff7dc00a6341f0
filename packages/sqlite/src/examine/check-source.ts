import { LifeboatError } from "@lifeboat/core";
import { connect } from "../driver.ts";
import { integrityOf } from "./integrity.ts";

/**
 * Runs SQLite's `quick_check` on a database that is about to be stored.
 * @param file the raw copy; or, where there is no room for one, the held file itself, which is then read through the app's WAL
 * @param path of the database, for messages
 * @throws LifeboatError `DATABASE_CORRUPT`
 */
export function checkSource(file: string, path: string): void {
  const connection = connect(file, { readonly: file !== path });
  try {
    const [first] = integrityOf(connection, "quick_check").damage;
    if (first === undefined) return;
    throw new LifeboatError({
      code: "DATABASE_CORRUPT",
      message: `${path} fails quick_check: ${first}`,
      remedy:
        "restore a backup beside it and compare (lifeboat restore --to DIR); to keep what there is, back up without --check",
      details: { path },
    });
  } finally {
    connection.close();
  }
}
