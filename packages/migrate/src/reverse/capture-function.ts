import type { PlannedColumn, PlannedTable } from "../plan.ts";
import { quoteName, quoteText } from "../quote.ts";
import { isKeyed, loggedColumns } from "./logged-columns.ts";

/** Types whose text depends on what the session has set, and the one setting under which we read it back. */
const SPELLED_BY: Readonly<Record<string, readonly string[]>> = {
  bytea: ["bytea_output = 'hex'"],
  "double precision": ["extra_float_digits = '1'"],
  date: ["datestyle = 'ISO'"],
  "timestamp without time zone": ["datestyle = 'ISO'"],
  "timestamp with time zone": ["datestyle = 'ISO'", "timezone = 'UTC'"],
};

/**
 * The trigger function of one table. It runs as its owner (SECURITY DEFINER), so the application's role needs no
 * right on schema `lifeboat`; hence the fixed search_path (manual, "Writing SECURITY DEFINER Functions Safely").
 */
export function captureFunction(name: string, table: PlannedTable): string {
  const columns = loggedColumns(table);
  const settings = new Set(columns.flatMap((column) => SPELLED_BY[column.type] ?? []));
  const relation = quoteText(table.target);
  const rows = isKeyed(table) ? keyedRows(columns) : copiedRows(columns);
  const log = (select: string) =>
    `INSERT INTO lifeboat.changes (relation, key, copies) SELECT ${relation}, ${select};`;
  const body = `
    BEGIN
      IF TG_OP = 'INSERT' THEN ${log(rows.inserted)}
      ELSIF TG_OP = 'UPDATE' THEN ${log(rows.updated)}
      ELSIF TG_OP = 'DELETE' THEN ${log(rows.deleted)}
      ELSE ${log("NULL, NULL")}
      END IF;
      RETURN NULL;
    END`;
  return `
    CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp ${[...settings].map((one) => `SET ${one}`).join(" ")}
    AS ${quoteText(body)}`;
}

interface LoggedRows {
  readonly inserted: string;
  readonly updated: string;
  readonly deleted: string;
}

/** A row that got another key is two changes: of the old key and of the new one. */
function keyedRows(columns: readonly PlannedColumn[]): LoggedRows {
  const from = (rows: string) => `SELECT ${values(columns)} AS key FROM ${rows}`;
  return {
    inserted: `k.key, NULL FROM (${from("lifeboat_new")}) AS k`,
    updated: `k.key, NULL FROM (${from("lifeboat_old")} UNION ${from("lifeboat_new")}) AS k`,
    deleted: `k.key, NULL FROM (${from("lifeboat_old")}) AS k`,
  };
}

function copiedRows(columns: readonly PlannedColumn[]): LoggedRows {
  const key = values(columns);
  return {
    inserted: `${key}, 1 FROM lifeboat_new`,
    updated: `k.key, k.copies FROM (SELECT ${key} AS key, -1 AS copies FROM lifeboat_old UNION ALL SELECT ${key}, 1 FROM lifeboat_new) AS k`,
    deleted: `${key}, -1 FROM lifeboat_old`,
  };
}

function values(columns: readonly PlannedColumn[]): string {
  return `ARRAY[${columns.map((column) => `${quoteName(column.target)}::text`).join(", ")}]`;
}
