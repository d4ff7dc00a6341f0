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
 * @param window waited for before each; of a snapshot that is held there is nothing to wait for
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
  const rowid = quoteName(rowidName);
  const read = rowsWhere(db, table, form, `WHERE ${rowid} >= ? AND ${rowid} <= ?`);
  for (const [from, to] of rowidRanges(db, table.name, rowidName, rowsAtOnce(table))) {
    window.await();
    yield* read(from, to);
  }
}

/** Tables WITHOUT ROWID lie in the order of their key. */
function* byKey(
  db: Database,
  table: PlannedTable,
  form: CopyForm,
  window: Pick<CheckpointWindow, "await">,
): Generator<Buffer> {
  if (table.key.length === 0) {
    // A choice left its key out: only a load beside which nobody writes takes that.
    const rows = `SELECT CAST(${form.row} AS BLOB) FROM ${quoteName(table.name)}`;
    yield* db.prepare<[], Buffer>(rows).pluck().iterate();
    return;
  }
  const keys = nameList(table.key);
  const parts = table.key.map(quoteName).flatMap(keyParts).join(", ");
  const key = table.key.map(() => "iif(?, CAST(? AS TEXT), ?)").join(", ");
  const nth = `ORDER BY ${keys} LIMIT 1 OFFSET ${rowsAtOnce(table) - 1}`;
  for (let from: readonly unknown[] = []; ; ) {
    const after: readonly string[] = from.length === 0 ? [] : [`(${keys}) > (${key})`];
    window.await();
    const to = db
      .prepare<unknown[], unknown[]>(
        `SELECT ${parts} FROM ${quoteName(table.name)} ${whereAll(after)} ${nth}`,
      )
      .raw()
      .get(...from);
    const upTo = to === undefined ? [] : [`(${keys}) <= (${key})`];
    yield* rowsWhere(db, table, form, whereAll([...after, ...upTo]))(...from, ...(to ?? []));
    if (to === undefined) return;
    from = to;
  }
}

function whereAll(tests: readonly string[]): string {
  return tests.length === 0 ? "" : `WHERE ${tests.join(" AND ")}`;
}

/** One part of a table as it is sent: joined where rows are short, since each by itself takes ten times its memory until V8 clears up. */
function rowsWhere(
  db: Database,
  table: PlannedTable,
  form: CopyForm,
  where: string,
): (...values: unknown[]) => readonly Buffer[] {
  const from = `FROM ${quoteName(table.name)} ${where}`;
  if (rowsAtOnce(table) < JOINED_FROM) {
    const single = db
      .prepare<unknown[], Buffer>(`SELECT CAST(${form.row} AS BLOB) ${from}`)
      .pluck();
    return (...values) => single.all(...values);
  }
  const joined = db
    .prepare<unknown[], Buffer | null>(`SELECT CAST(group_concat(${form.row}, '') AS BLOB) ${from}`)
    .pluck();
  return (...values) => [joined.get(...values)].flatMap((buffer) => buffer ?? []);
}

/** A text goes by its bytes: JavaScript would make one of all that are no UTF-8, and the walk would not end. */
function keyParts(c: string): readonly string[] {
  const isText = `typeof(${c}) = 'text'`;
  return [isText, `CAST(${c} AS BLOB)`, `iif(${isText}, NULL, ${c})`];
}
