import { hash } from "node:crypto";
import { qualified } from "../ddl.ts";
import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import type { RowCanon } from "./row-canon.ts";
import { type KeyTerm, type RangeSql, spelledKey, spelledKeyIn } from "./row-key.ts";

/** How a table's rows are told apart and spelled, on both sides alike. */
export interface RowForm {
  readonly terms: readonly KeyTerm[];
  readonly canon: RowCanon;
}

/** How they are digested: in the order of the key. */
export interface DigestForm extends RowForm {
  /** Digests the rows one by one first, so that a chunk of long ones is never held as a whole. */
  readonly byRow: boolean;
}

export interface RowsDigest {
  /** Those that were left out as well. */
  readonly rows: number;
  readonly digest: string;
}

/** @param leftOut keys, as `spelledKey` spells them, a line each, of rows that count but are not digested */
export function digestInSqlite(
  { db, table }: CompareInput,
  { terms, canon, byRow }: DigestForm,
  { where, values }: RangeSql,
  leftOut: string,
): RowsDigest {
  const whole = byRow ? `lifeboat_md5(${canon.sqlite})` : canon.sqlite;
  const [row, keys] =
    leftOut === ""
      ? [whole, []]
      : [
          `CASE WHEN ${spelledKey(terms)} NOT IN (SELECT value FROM json_each('["' || replace(?, char(10), '","') || '"]')) THEN ${whole} END`,
          [leftOut],
        ];
  const order = terms.map((term) => term.sqlite).join(", ");
  const [rows, content] = db
    .prepare(
      `SELECT count(*), CAST(group_concat(line, '') AS BLOB)
       FROM (SELECT ${row} AS line FROM ${quoteName(table.name)} ${where} ORDER BY ${order})`,
    )
    .raw()
    .get(...keys, ...values) as [bigint, Buffer | null];
  const digest = hash("md5", content ?? "");
  return { rows: Number(rows), digest };
}

/** The same in Postgres. */
export async function digestInPostgres(
  { client, schema, table }: CompareInput,
  { terms, canon, byRow }: DigestForm,
  { where, values }: RangeSql,
  leftOut: string,
): Promise<RowsDigest> {
  const bytes = canon.bytes && !byRow;
  const whole = byRow ? `md5(${canon.postgres})` : canon.postgres;
  const [row, keys] =
    leftOut === ""
      ? [whole, []]
      : [
          // A key that is NULL, where somebody took the constraint away, is none that was left out.
          `CASE WHEN (${spelledKeyIn(terms)} = ANY (string_to_array($${values.length + 1}, E'\\n'))) IS NOT TRUE THEN ${whole} END`,
          [leftOut],
        ];
  const order = terms.map((term) => term.postgres).join(", ");
  const nothing = bytes ? "''::bytea" : "''";
  const { rows } = await client.query<{ rows: string; digest: string }>(
    `SELECT count(*) AS rows, md5(coalesce(string_agg(${row}, ${nothing} ORDER BY ${order}), ${nothing})) AS digest
     FROM ${qualified(schema, table.target)} ${where}`,
    [...values, ...keys],
  );
  return { rows: Number(rows[0]?.rows), digest: rows[0]?.digest ?? "" };
}
