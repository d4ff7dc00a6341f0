import type { ChangeReader, TouchedTable } from "./change-reader.ts";
import type { FrozenFile } from "./frozen-file.ts";
import { isKeyed } from "./logged-columns.ts";
import { TableWriter } from "./table-writer.ts";
import { TouchedKeys } from "./touched-keys.ts";

/**
 * Brings one table of SQLite to what Postgres' snapshot holds. Every touched row goes first and comes back as it is
 * now, so that values of a UNIQUE column may have changed hands in any order.
 * @returns how many rows were written or removed
 */
export async function applyTable(
  reader: ChangeReader,
  file: FrozenFile,
  touched: TouchedTable,
  signal: AbortSignal,
): Promise<TableWriter> {
  const writer = new TableWriter(file.db, file.schema, touched.table);
  if (touched.whole) await applyWhole(reader, writer, signal);
  else if (isKeyed(touched.table)) await applyKeyed(reader, file, writer, signal);
  else await applyCopies(reader, writer, signal);
  return writer;
}

async function applyWhole(
  reader: ChangeReader,
  writer: TableWriter,
  signal: AbortSignal,
): Promise<void> {
  writer.deleteAll();
  for await (const rows of reader.allRows(writer.table)) {
    signal.throwIfAborted();
    for (const row of rows) writer.insert(row, null);
  }
}

async function applyKeyed(
  reader: ChangeReader,
  file: FrozenFile,
  writer: TableWriter,
  signal: AbortSignal,
): Promise<void> {
  const { table } = writer;
  const touched = new TouchedKeys(file.db);
  for await (const keys of reader.keys(table)) touched.add(keys);
  for (const chunk of touched.chunks()) {
    signal.throwIfAborted();
    const canons = await reader.keyCanons(
      table,
      chunk.map((one) => one.key),
    );
    for (const [at, canon] of canons.entries()) touched.place(chunk[at]?.id, writer.delete(canon));
  }
  // A new row gets the rowid after the last one, which a row that comes back may have had.
  for (const which of ["placed", "new"] as const)
    for (const chunk of touched.chunks(which)) {
      const keys = chunk.map((one) => one.key);
      for await (const rows of reader.rowsOf(table, keys)) {
        signal.throwIfAborted();
        for (const row of rows) writer.insert(row, chunk[row.mark]?.place ?? null);
      }
    }
}

async function applyCopies(
  reader: ChangeReader,
  writer: TableWriter,
  signal: AbortSignal,
): Promise<void> {
  for await (const rows of reader.copies(writer.table)) {
    signal.throwIfAborted();
    for (const row of rows) {
      for (let left = row.mark; left < 0; left++) writer.deleteCopy(row);
      for (let left = row.mark; left > 0; left--) writer.insert(row, null);
    }
  }
}
