import { readdir, stat } from "node:fs/promises";
import { isSystemError, LifeboatError } from "@lifeboat/core";
import { type Connection, connect, isBusy } from "../driver.ts";

/**
 * Whether a process has a database open: by SQLite's locks, which a connection to a WAL-mode
 * database always holds, and on Linux by open descriptors, since an idle connection to a
 * rollback-journal database holds none.
 */
export async function isInUse(path: string): Promise<boolean> {
  if ((await processesWithOpen(path)).length > 0) return true;
  try {
    exclusively(path, () => {});
    return false;
  } catch (thrown) {
    if (thrown instanceof LifeboatError && thrown.code === "DATABASE_IN_USE") return true;
    throw thrown;
  }
}

/**
 * Brings a database into its one file, the log included, so that it can be replaced in one step. One
 * that SQLite cannot read has nothing to bring.
 * @throws LifeboatError `DATABASE_IN_USE` (kind `refused`)
 */
export function foldLog(path: string): void {
  exclusively(path, (connection) => connection.pragma("wal_checkpoint(TRUNCATE)"));
}

/** The processes that have a file open, as far as this user may see (Linux). */
export async function processesWithOpen(path: string): Promise<number[]> {
  if (process.platform !== "linux") return [];
  const { dev, ino } = await stat(path);
  const found: number[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of await entriesOf(`/proc/${pid}/fd`)) {
      const open = await statOf(`/proc/${pid}/fd/${descriptor}`);
      if (open?.dev === dev && open.ino === ino && !found.includes(Number(pid)))
        found.push(Number(pid));
    }
  }
  return found;
}

function exclusively(path: string, inside: (connection: Connection) => void): void {
  const connection = connect(path, { readonly: false });
  try {
    connection.pragma("locking_mode = EXCLUSIVE");
    connection.exec("BEGIN EXCLUSIVE; COMMIT");
    inside(connection);
  } catch (thrown) {
    if (isBusy(thrown)) throw databaseInUse(path, "another process holds a lock on it", thrown);
    if (!/^SQLITE_(NOTADB|CORRUPT|READONLY|CANTOPEN|IOERR)/.test(codeOf(thrown))) throw thrown;
  } finally {
    connection.close();
  }
}

function codeOf(thrown: unknown): string {
  return String((thrown as { code?: unknown }).code);
}

/** Processes end and descriptors close while we look. */
const PASSING = ["ENOENT", "EACCES", "ESRCH", "EPERM"];

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (PASSING.some((code) => isSystemError(thrown, code))) return [];
    throw thrown;
  }
}

async function statOf(path: string): Promise<{ dev: number; ino: number } | undefined> {
  try {
    return await stat(path);
  } catch (thrown) {
    if (PASSING.some((code) => isSystemError(thrown, code))) return undefined;
    throw thrown;
  }
}

/** The refusal of what cannot be done beside others. */
export function databaseInUse(path: string, how: string, cause?: unknown): LifeboatError {
  return new LifeboatError({
    code: "DATABASE_IN_USE",
    kind: "refused",
    message: `${path} is in use: ${how}`,
    remedy: "stop the app first, or restore to another directory",
    details: { path },
    cause,
  });
}
