import type { Database } from "better-sqlite3";
import { CheckpointWindow } from "../checkpoint-window.ts";
import type { PlannedTable } from "../plan.ts";
import { nameList, quoteName } from "../quote.ts";
import { rowidRanges, rowsAtOnce } from "../row-range.ts";
import { type CopyForm, copyForm } from "./copy-expression.ts";

/** Joining pays only for rows that are short. */
const JOINED_FROM = 16;

/**
 * The rows of a table in the form of COPY, in short reads: each ends before the next chunk is asked for, so no snapshot is
 * held and the WAL can be checkpointed. What is written meanwhile may be seen or not; the log of changes tells of it.
 */
export function* liveRows(
  db: Database,
  table: PlannedTable,
  form: CopyForm,
  window: Pick<CheckpointWindow, "await"> = new CheckpointWindow(db),
): Generator<Buffer> {
  if (table.rowid === null) yield* byKey(db, table, form, window);
  else yield* byRowid(db, table, table.rowid, form, window);
}

/** How rows that may be written meanwhile travel. */
export function liveCopyForm(table: PlannedTable): CopyForm {
  return copyForm(table, { live: true });
}

function* byRowid(
  db: Database,
  table: PlannedTable,
  rowidName: string,
  form: CopyForm,
  window: Pick<CheckpointWindow, "await">,
): Generator<Buffer> {
  const name = quoteName(table.name);
  const rowid = quoteName(rowidName);
  const rows = rowsAtOnce(table);
  const within = `FROM ${name} WHERE ${rowid} >= ? AND ${rowid} <= ?`;
  const joined = db
    .prepare<[bigint, bigint], Buffer | null>(
      `SELECT CAST(group_concat(${form.row}, '') AS BLOB) ${within}`,
    )
    .pluck();
  const single = db
    .prepare<[bigint, bigint], Buffer>(`SELECT CAST(${form.row} AS BLOB) ${within}`)
    .pluck();
  for (const [from, to] of rowidRanges(db, table.name, rowidName, rows)) {
    window.await();
    if (rows < JOINED_FROM) yield* single.all(from, to);
    else {
      const buffer = joined.get(from, to);
      if (buffer) yield buffer;
    }
  }
}

/** Tables WITHOUT ROWID lie in the order of their key. */
function* byKey(
  db: Database,
  table: PlannedTable,
  form: CopyForm,
  window: Pick<CheckpointWindow, "await">,
): Generator<Buffer> {
  const name = quoteName(table.name);
  const keys = nameList(table.key);
  const read = table.key.map(quoteName).flatMap(keyParts).join(", ");
  const select = `SELECT CAST(${form.row} AS BLOB), ${read} FROM ${name}`;
  const order = `ORDER BY ${keys} LIMIT ${rowsAtOnce(table)}`;
  const first = db.prepare<[], unknown[]>(`${select} ${order}`).raw();
  const last = table.key.map(() => "iif(?, CAST(? AS TEXT), ?)").join(", ");
  const next = db
    .prepare<unknown[], unknown[]>(`${select} WHERE (${keys}) > (${last}) ${order}`)
    .raw();
  window.await();
  let rows = first.all();
  while (rows.length > 0) {
    for (const row of rows) yield row[0] as Buffer;
    window.await();
    rows = next.all(...(rows.at(-1) ?? []).slice(1));
  }
}

/** A text goes by its bytes: JavaScript would make one of all that are no UTF-8, and the walk would not end. */
function keyParts(c: string): readonly string[] {
  const isText = `typeof(${c}) = 'text'`;
  return [isText, `CAST(${c} AS BLOB)`, `iif(${isText}, NULL, ${c})`];
}
