import type { Random } from "./random.ts";
import { number, type Session } from "./session.ts";
import type { Row, Value } from "./value.ts";

/** Adds one row. Names are taken as they are written, on both databases. */
export async function insert(session: Session, table: string, row: Row): Promise<void> {
  await session.run(insertion(table, row), ...Object.values(row));
}

/** Adds one row to a table that numbers its rows, and gives the number. */
export async function insertNumbered(session: Session, table: string, row: Row): Promise<number> {
  return number(session, `${insertion(table, row)} RETURNING id`, ...Object.values(row));
}

/**
 * Adds a row in place of those that it clashes with on `key`. REPLACE deletes them without firing
 * delete triggers and gives the row a new number: the products do it, so whoever follows a
 * database's changes must cope with it. Postgres has no such statement.
 */
export async function replace(
  session: Session,
  table: string,
  key: readonly string[],
  row: Row,
): Promise<void> {
  if (session.engine === "sqlite") {
    await session.run(insertion(table, row, "REPLACE"), ...Object.values(row));
    return;
  }
  const match = key.map((name) => `"${name}" = ?`).join(" AND ");
  const values = key.map((name): Value => row[name] ?? null);
  await session.run(`DELETE FROM "${table}" WHERE ${match}`, ...values);
  await insert(session, table, row);
}

/** The number of some row. Throws when the table is empty. */
export async function someNumber(session: Session, random: Random, table: string): Promise<number> {
  const highest = await number(session, `SELECT coalesce(max(id), 0) FROM "${table}"`);
  const from = random.below(highest) + 1;
  return number(session, `SELECT id FROM "${table}" WHERE id >= ? ORDER BY id LIMIT 1`, from);
}

/** The key of some row of a small table whose keys are text. Throws when the table is empty. */
export async function someKey(session: Session, random: Random, table: string): Promise<string> {
  const count = await number(session, `SELECT count(*) FROM "${table}"`);
  const [row] = await session.all(
    `SELECT id FROM "${table}" ORDER BY id LIMIT 1 OFFSET ?`,
    random.below(count),
  );
  if (row === undefined) throw new Error(`${table} is empty`);
  return String(row.id);
}

function insertion(table: string, row: Row, verb = "INSERT"): string {
  const names = Object.keys(row);
  const columns = names.map((name) => `"${name}"`).join(", ");
  return `${verb} INTO "${table}" (${columns}) VALUES (${names.map(() => "?").join(", ")})`;
}
