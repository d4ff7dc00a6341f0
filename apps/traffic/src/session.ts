import type { Row, Value } from "./value.ts";

/**
 * One connection that a product writes through. The products' statements are plain SQL with `?`
 * for parameters and run on both databases; where the dialects part, the product asks `engine`.
 */
export interface Session {
  readonly engine: "sqlite" | "postgres";

  /** Runs one statement; rows as objects, empty for a statement that returns none. */
  all(sql: string, ...values: readonly Value[]): Promise<readonly Row[]>;

  /** Runs one statement that returns no rows; the number of rows it changed. */
  run(sql: string, ...values: readonly Value[]): Promise<number>;

  /** All of `work` or nothing; resolves when the database has acknowledged the commit. */
  transaction<T>(work: () => Promise<T>): Promise<T>;

  close(): Promise<void>;
}

/** The first column of the first row as a number; throws when there is no row, for that is a defect. */
export async function number(
  session: Session,
  sql: string,
  ...values: readonly Value[]
): Promise<number> {
  const [row] = await session.all(sql, ...values);
  if (row === undefined) throw new Error(`no row from: ${sql}`);
  return Number(Object.values(row)[0]);
}

/**
 * An instant for a column that counts seconds or milliseconds since 1970 in SQLite, and that the move
 * to Postgres makes a timestamptz.
 */
export function epoch(session: Session, unit: "seconds" | "milliseconds", at: number): Value {
  const step = unit === "seconds" ? 1_000 : 1;
  const count = Math.floor(at / step);
  return session.engine === "sqlite" ? count : new Date(count * step).toISOString();
}
