import { logColumns } from "../capture/row-identity.ts";
import { codecNamed } from "../codec/registry.ts";
import { rowCanon } from "../compare/row-canon.ts";
import { qualified } from "../ddl.ts";
import { followedTable } from "../kept-rowid.ts";
import { type CopyForm, copyForm, sentColumns, textRow } from "../load/copy-expression.ts";
import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { nameList, quoteName } from "../quote.ts";
import { sameName } from "../sqlite/schema.ts";
import { CHANGED_KEYS } from "./changed-keys.ts";

/**
 * The statements that bring the rows of one table that the log names from SQLite to Postgres. The keys stay in SQL all the way: through JavaScript a
 * text that is no UTF-8 would lose its bytes.
 */
export interface TouchedRows {
  readonly table: PlannedTable;
  /** SQLite: the touched keys, as COPY text for the session's table of keys. */
  readonly keys: string;
  /** SQLite: those of the touched rows that are there, in the form of COPY. */
  readonly rows: string;
  readonly form: CopyForm;
  /** SQLite: the digests of the same rows. */
  readonly digests: string;
  /** Postgres: removes the touched rows, and takes those that are there. */
  readonly remove: string;
  readonly removeAll: string;
  readonly copyRows: string;
  /** Postgres: count and digest sums of the touched rows. */
  readonly sums: string;
}

/**
 * Postgres: one table of keys for a session, so that those of all tables come in one COPY. As texts, which each table reads
 * as its own types.
 */
export interface TouchedKeys {
  readonly make: string;
  readonly clear: string;
  /** The same, where it happens many times in one transaction: what is deleted would be read over until its end. */
  readonly empty: string;
  readonly copy: string;
  readonly analyze: string;
}

const KEY_TABLE = "pg_temp.lifeboat_keys";

/** @param width columns of the widest key */
export function touchedKeys(width: number): TouchedKeys {
  const columns = logColumns(width);
  return {
    // Emptied by DELETE alone it would grow for as long as a sync runs: nobody vacuums what is temporary.
    make: `CREATE TEMP TABLE IF NOT EXISTS lifeboat_keys (tbl integer, ${columns.map((one) => `${one} text`).join(", ")}) ON COMMIT DELETE ROWS`,
    clear: `DELETE FROM ${KEY_TABLE}`,
    empty: `TRUNCATE ${KEY_TABLE}`,
    copy: `COPY ${KEY_TABLE} (tbl, ${columns.toReversed().join(", ")}) FROM STDIN`,
    analyze: `ANALYZE ${KEY_TABLE}`,
  };
}

export interface TouchedTable {
  readonly planned: PlannedTable;
  /** The table's place in the plan, by which the log names it. */
  readonly number: number;
  readonly schema: string;
  /** Columns of the widest key. */
  readonly width: number;
}

export function touchedRows({ planned, number, schema, width }: TouchedTable): TouchedRows {
  const table = followedTable(planned);
  const keys = table.key.map((name) => columnOf(table, name));
  const logged = `SELECT ${columnsOfLog(keys)} FROM ${CHANGED_KEYS} WHERE tbl = ${number}`;
  const form = copyForm(table, { live: true });
  const name = quoteName(table.name);
  // CROSS JOIN keeps the order: each key is looked up in the table, never the table in the keys.
  const present = `FROM (${logged}) AS l CROSS JOIN ${name} AS t ON ${keys.map(isLogged).join(" AND ")}`;
  const ofTable = (columns: string) =>
    `SELECT ${columns} FROM (SELECT t.* ${rowidOf(table)} ${present}) AS ${name}`;
  const relation = qualified(schema, table.target);
  const ofKeys = keys.map(
    ({ target, type }, at) => `t.${quoteName(target)} = k.k${keys.length - at}::${type}`,
  );
  const same = [`k.tbl = ${number}`, ...ofKeys].join(" AND ");
  const missing = "\\N\t".repeat(width - keys.length);
  const { postgres } = rowCanon(table);
  return {
    table,
    keys: `SELECT CAST('${number}\t${missing}' || ${textRow(table, keys)} AS BLOB) FROM (${logged}) WHERE ${keys.map(isAdmitted).join(" AND ")}`,
    rows: ofTable(`CAST(${form.row} AS BLOB)`),
    form,
    digests: ofTable(`lifeboat_md5(${rowCanon(table).sqlite})`),
    removeAll: `DELETE FROM ${relation}`,
    remove: `DELETE FROM ${relation} AS t USING ${KEY_TABLE} AS k WHERE ${same}`,
    copyRows: `COPY ${relation} (${nameList(sentColumns(table).map((column) => column.target))}) FROM STDIN WITH (FORMAT ${form.format})`,
    sums: `SELECT count(*)::text AS rows, coalesce(sum(('x' || left(d, 15))::bit(60)::bigint), 0)::text AS low,
        coalesce(sum(('x' || substr(d, 16, 15))::bit(60)::bigint), 0)::text AS high
      FROM (SELECT md5(${postgres}) AS d FROM (SELECT DISTINCT ON (t.ctid) t.* FROM ${KEY_TABLE} AS k
            JOIN ${relation} AS t ON ${same}) AS rows_there) AS digests`,
  };
}

function columnOf(table: PlannedTable, name: string): PlannedColumn {
  const column = table.columns.find((one) => sameName(one.source, name));
  if (!column) throw new Error(`key column ${name} of ${table.name} is not in the plan`);
  return column;
}

/** The log's columns under the names of the key's. */
function columnsOfLog(keys: readonly PlannedColumn[]): string {
  return logColumns(keys.length)
    .map((column, at) => {
      const name = keys[at]?.source ?? "";
      return `${column} AS ${quoteName(name)}`;
    })
    .join(", ");
}

/**
 * Equal to the bit: an index of another collation finds the row, and the key is compared once more. A key that is NULL, as SQLite
 * allows, is found as well: Postgres refuses its row, which would else be lost.
 */
function isLogged({ source }: PlannedColumn): string {
  const c = quoteName(source);
  return `t.${c} IS l.${c} AND t.${c} COLLATE BINARY IS l.${c} AND typeof(t.${c}) = typeof(l.${c})`;
}

/** Another key never came to Postgres; the row that bears it, if it is there, is refused by name. */
function isAdmitted({ source, codec }: PlannedColumn): string {
  const { classes, admits } = codecNamed(codec);
  const c = quoteName(source);
  const ofClass = `typeof(${c}) IN (${classes.map((one) => `'${one}'`).join(", ")})`;
  // The class first: what is asked of a text is not asked of a BLOB.
  return admits ? `(CASE WHEN ${ofClass} THEN ${admits(c)} END)` : ofClass;
}

/** `t.*` does not hold a rowid that is no column. */
function rowidOf({ rowid, columns, key }: PlannedTable): string {
  const isKey = rowid !== null && key.length === 1 && key[0] === rowid;
  const isKept = isKey && columns.at(-1)?.target === "lifeboat_rowid";
  return isKept ? `, t.${quoteName(rowid)} AS ${quoteName(rowid)}` : "";
}
