import { rowCanon } from "../compare/row-canon.ts";
import { qualified } from "../ddl.ts";
import type { PlannedTable } from "../plan.ts";
import { quoteName, quoteText } from "../quote.ts";
import { storedColumns } from "./logged-columns.ts";

/** SQL: whether an entry of `lifeboat.changes` was not visible to a snapshot; of one table where that is given. */
export function isNewSince(snapshot: string, table?: PlannedTable): string {
  const since = quoteText(snapshot);
  const own = table ? `relation = ${quoteText(table.target)} AND ` : "";
  return `${own}xid >= pg_snapshot_xmin(${since}) AND NOT pg_visible_in_snapshot(xid, ${since})`;
}

/** SQL: the rows of a table without a key that the log names since a snapshot, under the columns' names, and how many came or, below 0, went. */
export function loggedCopies(snapshot: string, table: PlannedTable): string {
  const logged = `lifeboat.changes WHERE ${isNewSince(snapshot, table)} AND key IS NOT NULL`;
  return `${ofKey(table)} FROM (SELECT key, sum(copies) AS copies FROM ${logged} GROUP BY key HAVING sum(copies) <> 0) AS counted OFFSET 0`;
}

/**
 * SQL: the rows of a table without a key as a snapshot held them, by the rows that are there now and the log: `d` the digest, `place`
 * where one is, `n` how many.
 */
export function copiesAt(snapshot: string, schema: string, table: PlannedTable): string {
  const digest = `md5(${rowCanon(table).postgres})`;
  const logged = `lifeboat.changes WHERE ${isNewSince(snapshot, table)} AND key IS NOT NULL`;
  return `SELECT d, min(place) AS place, sum(n) AS n FROM (
      SELECT ${digest} AS d, ctid::text AS place, 1 AS n FROM ${qualified(schema, table.target)}
      UNION ALL
      SELECT ${digest}, NULL, -lifeboat_copies FROM (${ofKey(table)} FROM ${logged} OFFSET 0) AS logged
    ) AS copies GROUP BY d HAVING sum(n) <> 0`;
}

/** OFFSET 0 behind it keeps each value from being read out of its text wherever it is named: values of many MB take their time. */
function ofKey(table: PlannedTable): string {
  const named = storedColumns(table).map(
    (column, at) => `key[${at + 1}]::${column.type} AS ${quoteName(column.target)}`,
  );
  return `SELECT ${[...named, "copies AS lifeboat_copies"].join(", ")}`;
}
