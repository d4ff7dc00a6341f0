import { createHash } from "node:crypto";
import { qualified } from "../ddl.ts";
import { quoteName } from "../quote.ts";
import type { CompareInput } from "./compare-input.ts";
import type { Difference, Differences } from "./differences.ts";
import { findDifferences } from "./find-differences.ts";
import { rowCanon } from "./row-canon.ts";
import { keyTerms } from "./row-key.ts";
import { heldSides, type Moment } from "./sides.ts";

/** Digits of a row's digest that choose its bucket: 4,096 of them. */
const BUCKET_DIGITS = 3;
/** Buckets whose rows are named; where more differ the rest is only counted. */
const NAMED_BUCKETS = 64;

/**
 * Compares a table without regard to order: rows by digest, digests in buckets, one scan of either side.
 * For tables whose rows no key tells apart, where a row that is there twice must be there twice; and for
 * large ones whose key Postgres keeps in another order than SQLite does.
 * @returns how many rows of it were written meanwhile. Beside 0 nothing is told, since no key says which of them differ
 */
export async function compareByDigest(
  input: CompareInput,
  differences: Differences,
): Promise<number> {
  const sides = input.sides ?? heldSides(input.client);
  return sides.look(async (moment) => {
    const there = await postgresBuckets(input);
    const here = readQuiet(input, moment, () => sqliteBuckets(input));
    if (typeof here === "number") return here;
    const total = (buckets: Buckets) =>
      [...buckets.values()].reduce((sum, bucket) => sum + bucket.rows, 0);
    const differing = [...new Set([...here.keys(), ...there.keys()])].filter(
      (bucket) => here.get(bucket)?.digest !== there.get(bucket)?.digest,
    );
    const named = differing.slice(0, NAMED_BUCKETS);
    const written = named.length > 0 ? await nameRows(input, moment, named, differences) : 0;
    if (written > 0) return written;
    differences.rows(total(here), total(there));
    differences.count += differing.length - named.length;
    return 0;
  });
}

/** What is read, or how many rows the snapshot of SQLite holds otherwise than that of Postgres need do. */
function readQuiet<Result extends object>(
  { table }: CompareInput,
  moment: Moment,
  read: () => Result,
): Result | number {
  return moment.inSqlite((written) => {
    const count = written.count(table);
    if (count > 0) return count;
    return written.isKnown(table) ? read() : Math.max(1, table.rows);
  });
}

async function nameRows(
  input: CompareInput,
  moment: Moment,
  buckets: readonly string[],
  differences: Differences,
): Promise<number> {
  const terms = keyTerms(input.table);
  const canon = rowCanon(input.table);
  if (terms.length === 0) {
    const found: Difference[] = [];
    for (const bucket of buckets) {
      input.signal.throwIfAborted();
      const there = await postgresDigests(input, bucket);
      const here = readQuiet(input, moment, () => sqliteDigests(input, bucket));
      if (typeof here === "number") return here;
      found.push(...unlikeCopies(here, there));
    }
    for (const one of found) differences.add(one);
    return 0;
  }
  const list = buckets.map((bucket) => `'${bucket}'`).join(", ");
  const sqlite = `WHERE substr(lifeboat_md5(${canon.sqlite}), 1, ${BUCKET_DIGITS}) IN (${list})`;
  const postgres = `WHERE left(md5(${canon.postgres}), ${BUCKET_DIGITS}) IN (${list})`;
  const rows = { sqlite: { where: sqlite, values: [] }, postgres: { where: postgres, values: [] } };
  await findDifferences(input, moment, terms, canon, rows, differences);
  return 0;
}

type Buckets = ReadonlyMap<string, { readonly rows: number; readonly digest: string }>;

function sqliteBuckets({ db, table }: CompareInput): Buckets {
  const rows = db
    .prepare<[], [string, bigint, string]>(
      `SELECT substr(d, 1, ${BUCKET_DIGITS}), count(*), group_concat(d, '' ORDER BY d)
       FROM (SELECT lifeboat_md5(${rowCanon(table).sqlite}) AS d FROM ${quoteName(table.name)}) GROUP BY 1`,
    )
    .raw()
    .iterate();
  const buckets = new Map<string, { rows: number; digest: string }>();
  for (const [bucket, count, digests] of rows)
    buckets.set(bucket, {
      rows: Number(count),
      digest: createHash("md5").update(digests).digest("hex"),
    });
  return buckets;
}

async function postgresBuckets({ client, schema, table }: CompareInput): Promise<Buckets> {
  const { rows } = await client.query<{ bucket: string; rows: string; digest: string }>(
    `SELECT left(d, ${BUCKET_DIGITS}) AS bucket, count(*) AS rows, md5(string_agg(d, '' ORDER BY d COLLATE "C")) AS digest
     FROM (SELECT md5(${rowCanon(table).postgres}) AS d FROM ${qualified(schema, table.target)}) AS digests GROUP BY 1`,
  );
  return new Map(rows.map((row) => [row.bucket, { rows: Number(row.rows), digest: row.digest }]));
}

interface Copies {
  readonly place: string;
  readonly count: number;
}

function unlikeCopies(
  here: ReadonlyMap<string, Copies>,
  there: ReadonlyMap<string, Copies>,
): Difference[] {
  const surplus = (
    mine: ReadonlyMap<string, Copies>,
    other: ReadonlyMap<string, Copies>,
    kind: Difference["kind"],
  ) =>
    [...mine].flatMap(([digest, copies]) => {
      const missing = copies.count - (other.get(digest)?.count ?? 0);
      return Array<Difference>(Math.max(0, missing)).fill({ key: copies.place, kind, columns: [] });
    });
  return [
    ...surplus(here, there, "missing-in-postgres"),
    ...surplus(there, here, "missing-in-sqlite"),
  ];
}

function sqliteDigests({ db, table }: CompareInput, bucket: string): ReadonlyMap<string, Copies> {
  const place = table.rowid === null ? "''" : `'rowid ' || min(${quoteName(table.rowid)})`;
  const rows = db
    .prepare<[string], [string, string, bigint]>(
      `SELECT lifeboat_md5(${rowCanon(table).sqlite}) AS d, ${place}, count(*) FROM ${quoteName(table.name)}
       GROUP BY 1 HAVING substr(d, 1, ${BUCKET_DIGITS}) = ?`,
    )
    .raw()
    .all(bucket);
  return new Map(rows.map(([digest, at, count]) => [digest, { place: at, count: Number(count) }]));
}

async function postgresDigests(
  { client, schema, table }: CompareInput,
  bucket: string,
): Promise<ReadonlyMap<string, Copies>> {
  const { rows } = await client.query<{ d: string; place: string; count: string }>(
    `SELECT d, 'ctid ' || min(place) AS place, count(*) AS count
     FROM (SELECT md5(${rowCanon(table).postgres}) AS d, ctid::text AS place FROM ${qualified(schema, table.target)}) AS digests
     WHERE left(d, ${BUCKET_DIGITS}) = $1 GROUP BY d`,
    [bucket],
  );
  return new Map(rows.map((row) => [row.d, { place: row.place, count: Number(row.count) }]));
}
