import { LifeboatError } from "@lifeboat/core";
import { SqliteError } from "better-sqlite3";
import type { Client } from "pg";
import type { Applied } from "../forward/apply-changes.ts";
import type { Forward } from "../forward/forward.ts";
import { putInForce } from "../freeze.ts";
import type { LiveSource } from "../live-source.ts";
import { breakConnection } from "../target/break-connection.ts";

/** Longer than this no writer is held, whatever becomes of the cutover. */
const MAX_HOLD_MS = 2_000;

export interface Hold {
  readonly source: LiveSource;
  readonly client: Client;
  readonly forward: Forward;
  /** How long the refusals last where nobody lives who makes them last for good. */
  readonly budgetSeconds: number;
  readonly signal: AbortSignal;
}

export interface Held {
  readonly applied: Applied | null;
  /** When the refusals end by themselves: milliseconds since 1970. */
  readonly until: number;
  /** From having SQLite's write lock to the commit of the refusals. */
  readonly seconds: number;
}

/**
 * Takes SQLite's write lock, brings the last changes, puts the refusals in force and commits. Writers wait only for this.
 * Whatever fails in here, the lock is let go of and the product writes on.
 * @throws LifeboatError `SQLITE_BUSY`, `HELD_TOO_LONG`, and those of `Forward.bring`
 */
export async function holdWriters(hold: Hold): Promise<Held> {
  const { source, client, forward, signal } = hold;
  const { db } = source;
  takeLock(source);
  const began = performance.now();
  const isOver = { value: false };
  const deadline = setTimeout(() => {
    isOver.value = true;
    // A server that does not answer would keep the lock; without its connection what runs there fails at once.
    breakConnection(client);
  }, MAX_HOLD_MS);
  try {
    const applied = await forward.bring({ compare: false }, signal);
    signal.throwIfAborted();
    const until = Date.now() + Math.ceil(hold.budgetSeconds * 1000);
    putInForce(db, until);
    db.exec("COMMIT");
    return { applied, until, seconds: (performance.now() - began) / 1000 };
  } catch (cause) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw isOver.value ? tooLong(cause) : cause;
  } finally {
    clearTimeout(deadline);
  }
}

function takeLock(source: LiveSource): void {
  try {
    source.db.exec("BEGIN IMMEDIATE");
  } catch (cause) {
    if (!(cause instanceof SqliteError) || !cause.code.startsWith("SQLITE_BUSY")) throw cause;
    throw new LifeboatError({
      code: "SQLITE_BUSY",
      message: `another process held the write lock of ${source.path} all the time; nothing was frozen`,
      remedy: "find the transaction that does not end (lsof on the file), then run this again",
      details: { path: source.path },
      cause,
    });
  }
}

function tooLong(cause: unknown): LifeboatError {
  return new LifeboatError({
    code: "HELD_TOO_LONG",
    message: `the last changes did not get to Postgres within ${MAX_HOLD_MS / 1000} s; the product writes to SQLite on`,
    remedy: "see that Postgres answers quickly, then run this again",
    cause,
  });
}
