import type { Client } from "pg";
import { qualified } from "../ddl.ts";
import type { CompareInput } from "./compare-input.ts";
import type { Difference, Differences } from "./differences.ts";
import {
  BUCKET_DIGITS,
  bucketsInPostgres,
  bucketsInSqlite,
  differingBuckets,
  digestsSql,
  rowsIn,
} from "./digest-buckets.ts";
import { rowCanon } from "./row-canon.ts";
import { type CopiesThere, heldSides, type Moment } from "./sides.ts";

export interface CopiesCompared {
  /** How many rows were written meanwhile: beside 0 nothing is told, since no key says which of them differ. */
  readonly untold: number;
  /** What was written to Postgres that SQLite does not hold yet; null where nothing was. */
  readonly behind: CopiesThere | null;
}

/** Compares a table whose rows no key tells apart: by their digests, where a row that is there twice must be there twice. */
export async function compareCopies(
  input: CompareInput,
  differences: Differences,
): Promise<CopiesCompared> {
  const sides = input.sides ?? heldSides(input.client);
  return sides.look(async (moment) => {
    const behind = moment.copiesThere?.(input.table) ?? null;
    const copies = behind?.sql ?? copiesNow(input);
    const there = await bucketsInPostgres(input.client, copies);
    const here = readQuiet(input, moment, () => bucketsInSqlite(input));
    if (typeof here === "number") return { untold: here, behind };
    const { named, beyond } = differingBuckets(here, there);
    const found: Difference[] = [];
    for (const bucket of named) {
      input.signal.throwIfAborted();
      const theirs = await postgresDigests(input.client, copies, bucket);
      const ours = readQuiet(input, moment, () => sqliteDigests(input, bucket));
      if (typeof ours === "number") return { untold: ours, behind };
      found.push(...unlikeCopies(ours, theirs));
    }
    for (const one of found) differences.add(one);
    differences.rows(rowsIn(here), rowsIn(there));
    differences.count += beyond;
    return { untold: 0, behind };
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

interface Copies {
  readonly place: string;
  readonly count: number;
}

function unlikeCopies(
  here: ReadonlyMap<string, Copies>,
  there: ReadonlyMap<string, Copies>,
): Difference[] {
  return [...new Set([...here.keys(), ...there.keys()])].flatMap((digest) => {
    const [ours, theirs] = [here.get(digest), there.get(digest)];
    const more = (ours?.count ?? 0) - (theirs?.count ?? 0);
    const kind = more > 0 ? "missing-in-postgres" : "missing-in-sqlite";
    const key = (more > 0 ? (ours ?? theirs) : (theirs ?? ours))?.place ?? "";
    return Array<Difference>(Math.abs(more)).fill({ key, kind, columns: [] });
  });
}

function sqliteDigests({ db, table }: CompareInput, bucket: string): ReadonlyMap<string, Copies> {
  const rows = db
    .prepare<[string], [string, bigint | null, bigint]>(
      `${digestsSql(table)} SELECT d, min(place), count(*) FROM digests WHERE substr(d, 1, ${BUCKET_DIGITS}) = ? GROUP BY 1`,
    )
    .raw()
    .all(bucket);
  return new Map(
    rows.map(([digest, rowid, count]) => [
      digest,
      { place: rowid === null ? "" : `rowid ${rowid}`, count: Number(count) },
    ]),
  );
}

async function postgresDigests(
  client: Client,
  copies: string,
  bucket: string,
): Promise<ReadonlyMap<string, Copies>> {
  const { rows } = await client.query<{ d: string; place: string | null; n: string }>(
    `SELECT d, 'ctid ' || min(place) AS place, sum(n) AS n FROM (${copies}) AS copies WHERE left(d, ${BUCKET_DIGITS}) = $1 GROUP BY d`,
    [bucket],
  );
  return new Map(
    rows.map(({ d, place, n }) => [d, { place: place ?? "(removed since)", count: Number(n) }]),
  );
}

/** What {@link Moment.copiesThere} gives where the product does not write to Postgres: each row is one of its own, which spares a sort of all. */
function copiesNow({ schema, table }: CompareInput): string {
  return `SELECT md5(${rowCanon(table).postgres}) AS d, ctid::text AS place, 1 AS n FROM ${qualified(schema, table.target)}`;
}
