import type { CompareInput } from "./compare-input.ts";
import type { Differences } from "./differences.ts";
import {
  BUCKET_DIGITS,
  bucketsInPostgres,
  bucketsInSqlite,
  differingBuckets,
  rowsIn,
} from "./digest-buckets.ts";
import { findDifferences } from "./find-differences.ts";
import { rowCanon } from "./row-canon.ts";
import { keyTerms } from "./row-key.ts";
import { heldSides, type Moment } from "./sides.ts";

const WHOLE = { from: null, to: null };

/**
 * Compares a table with a key without regard to order: rows by digest, digests in buckets, one scan of either side; for a large one
 * whose key Postgres keeps in another order than SQLite does. What was written since is left out, and kept to be looked at again.
 */
export async function compareByDigest(
  input: CompareInput,
  differences: Differences,
): Promise<void> {
  const sides = input.sides ?? heldSides(input.client);
  await sides.gather(input.table, input.signal);
  await sides.look(async (moment) => {
    const { here, written, keys } = moment.inSqlite((since) => {
      const written = since.within(input.table, WHOLE);
      const keys = written.map(({ key }) => key);
      return { here: bucketsInSqlite(input, keys), written, keys };
    });
    const there = await bucketsInPostgres(input, keys);
    const { named, beyond } = differingBuckets(here, there);
    if (named.length > 0) await nameRows(input, moment, named, differences);
    for (const row of written) differences.inFlight.add(row);
    differences.rows(rowsIn(here), rowsIn(there));
    differences.count += beyond;
  });
}

async function nameRows(
  input: CompareInput,
  moment: Moment,
  buckets: readonly string[],
  differences: Differences,
): Promise<void> {
  const canon = rowCanon(input.table);
  const list = buckets.map((bucket) => `'${bucket}'`).join(", ");
  const sqlite = `WHERE substr(lifeboat_md5(${canon.sqlite}), 1, ${BUCKET_DIGITS}) IN (${list})`;
  const postgres = `WHERE left(md5(${canon.postgres}), ${BUCKET_DIGITS}) IN (${list})`;
  const rows = { sqlite: { where: sqlite, values: [] }, postgres: { where: postgres, values: [] } };
  await findDifferences(input, moment, keyTerms(input.table), canon, rows, differences);
}
