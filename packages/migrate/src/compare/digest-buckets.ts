import { hash } from "node:crypto";
import type { Client } from "pg";
import type { PlannedTable } from "../plan.ts";
import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import { rowCanon } from "./row-canon.ts";

/** Digits of a row's digest that choose its bucket: 4,096 of them. */
export const BUCKET_DIGITS = 3;
/** Buckets whose rows are named; where more differ the rest is only counted. */
const NAMED_BUCKETS = 64;

/** SQLite: `digests(d, place)`, made before they are sorted: else the sorter would hold the whole rows. */
export function digestsSql(table: PlannedTable): string {
  const place = table.rowid === null ? "NULL" : quoteName(table.rowid);
  return `WITH digests(d, place) AS MATERIALIZED (SELECT lifeboat_md5(${rowCanon(table).sqlite}), ${place} FROM ${quoteName(table.name)})`;
}

/** The rows of a table by their digests, without regard to order. */
export type Buckets = ReadonlyMap<string, { readonly rows: number; readonly digest: string }>;

export function bucketsInSqlite({ db, table }: CompareInput): Buckets {
  const rows = db
    .prepare<[], [string, bigint, string]>(
      `${digestsSql(table)} SELECT substr(d, 1, ${BUCKET_DIGITS}), count(*), group_concat(d, '' ORDER BY d) FROM digests GROUP BY 1`,
    )
    .raw()
    .iterate();
  const buckets = new Map<string, { rows: number; digest: string }>();
  for (const [bucket, count, digests] of rows)
    buckets.set(bucket, {
      rows: Number(count),
      digest: hash("md5", digests),
    });
  return buckets;
}

/** The same in Postgres; by {@link Moment.copiesThere}, whose number is below 0 where a row is missing that the log says went. */
export async function bucketsInPostgres(client: Client, copies: string): Promise<Buckets> {
  const { rows } = await client.query<{ bucket: string; rows: string; digest: string }>(
    `SELECT left(d, ${BUCKET_DIGITS}) AS bucket, sum(n) AS rows,
       md5(string_agg(CASE WHEN n > 0 THEN repeat(d, n::integer) ELSE n || d END, '' ORDER BY d COLLATE "C")) AS digest
     FROM (${copies}) AS copies GROUP BY 1`,
  );
  return new Map(rows.map((row) => [row.bucket, { rows: Number(row.rows), digest: row.digest }]));
}

export interface DifferingBuckets {
  /** Those whose rows are to be named. */
  readonly named: readonly string[];
  /** How many more there are. */
  readonly beyond: number;
}

export function differingBuckets(here: Buckets, there: Buckets): DifferingBuckets {
  const differing = [...new Set([...here.keys(), ...there.keys()])].filter(
    (bucket) => here.get(bucket)?.digest !== there.get(bucket)?.digest,
  );
  const named = differing.slice(0, NAMED_BUCKETS);
  return { named, beyond: differing.length - named.length };
}

export function rowsIn(buckets: Buckets): number {
  return [...buckets.values()].reduce((sum, { rows }) => sum + rows, 0);
}
