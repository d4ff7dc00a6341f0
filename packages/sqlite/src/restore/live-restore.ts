import type { Finding } from "@lifeboat/core";
import { connect, isBusy, pause, pragmaNumber } from "../driver.ts";
import { databaseInUse } from "../examine/in-use.ts";

/** All pages in one step: nobody is to see, or to wait for, half of them. */
const ALL_PAGES = 0x7fffffff;

/**
 * Puts a restored copy's content into a database that others have open, as one transaction under
 * SQLite's own locks: those who read see the old state or the new. File, owner and mode stay.
 * @param patienceMs so long others may keep the write lock, or readers of a rollback-journal database their shared one
 * @throws LifeboatError `DATABASE_IN_USE` (kind `refused`) when others did not let it in; then nothing of it stays
 */
export async function restoreInto(
  database: string,
  copy: string,
  patienceMs: number,
): Promise<Finding[]> {
  const until = performance.now() + patienceMs;
  assertSamePageSize(database, copy);
  while (!(await writeInto(database, copy, until))) {
    if (performance.now() >= until)
      throw databaseInUse(database, "others keep a lock on it, and did not let the copy in");
    await pause();
  }
  return [
    {
      id: "sqlite-restored-into-live",
      severity: "warning",
      summary: `${database} is in use: its content was replaced in one transaction, while its file, owner and mode stayed`,
      remedy: "let the app drop what it keeps in memory of the old state: restart it",
    },
  ];
}

async function writeInto(database: string, copy: string, until: number): Promise<boolean> {
  const before = schemaVersion(database);
  if (before === undefined) return false;
  const source = connect(copy, { readonly: true });
  try {
    await source.backup(database, {
      progress() {
        if (performance.now() >= until) throw databaseInUse(database, "others keep a lock on it");
        return ALL_PAGES;
      },
    });
  } finally {
    source.close();
  }
  // The driver takes a commit that was refused for done. One that was not has raised this number.
  return schemaVersion(database) !== before;
}

function schemaVersion(database: string): number | undefined {
  const connection = connect(database, { readonly: false });
  try {
    return pragmaNumber(connection, "schema_version");
  } catch (thrown) {
    if (isBusy(thrown)) return undefined;
    throw thrown;
  } finally {
    connection.close();
  }
}

function assertSamePageSize(database: string, copy: string): void {
  const [live, restored] = [database, copy].map((path) => {
    const connection = connect(path, { readonly: false });
    try {
      return pragmaNumber(connection, "page_size");
    } catch (thrown) {
      if (isBusy(thrown)) return undefined;
      throw thrown;
    } finally {
      connection.close();
    }
  });
  if (live !== undefined && live !== restored)
    throw databaseInUse(database, `its pages have ${live} bytes, the copy's ${restored}`);
}
